"""The verb ``statistics``: tests, hypotheses and what of them hangs on the judge."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from steerability.config.read_analysis import PLAN_HELP, read_plan
from steerability.estimate.grid import grid_of
from steerability.inference import corrected, families, hypotheses, power
from steerability.inference.corrections import correct_all
from steerability.inference.families import Resampling, run_tests
from steerability.inference.hypotheses import Finding, judge_hypotheses
from steerability.report.tables.corrected import corrected_markdown
from steerability.report.tables.names import NOTE_HELP, parse_notes
from steerability.report.tables.render import markdown_grid
from steerability.score.cells import judges_of, read_cells
from steerability.support.files import write_atomic
from steerability.support.tables import Field, write_csv

SENSITIVITY_COLUMNS = (
    *("hypothesis", "part", "judge", "note", "estimate", "low", "high", "p_adjusted"),
    *("verdict", "primary_judge", "primary_verdict", "changes"),
)


def statistics(
    cells: Annotated[Path, typer.Option(help="The tidy table (cells.csv).")],
    judge: Annotated[str, typer.Option(help="The primary judge.")],
    output_dir: Annotated[Path, typer.Option(help="The run's folder.")],
    analysis: Annotated[str, typer.Option(help=PLAN_HELP)] = "{}",
    published: Annotated[
        Path | None, typer.Option(help="Published Table 1, for the power it would take.")
    ] = None,
    reference: Annotated[
        list[Path] | None,
        typer.Option(help="Label files, human ones say, in place of the reference judge's."),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(help="Another run's cells.csv that has judges and reference side by side."),
    ] = None,
    note: Annotated[list[str] | None, typer.Option(help=NOTE_HELP)] = None,
) -> None:
    """Write the declared tests, the hypotheses, corrected rates and the power of the suite."""
    plan = read_plan(analysis)
    notes = parse_notes(note or [])
    rows = read_cells(cells)
    judges = (judge, *(name for name in judges_of(rows) if name != judge))
    findings: dict[str, list[Finding]] = {}
    for name in judges:
        grid = grid_of(rows, name)
        resampling = Resampling.of(grid, plan)
        findings[name] = judge_hypotheses(grid, plan, resampling)
        if name == judge:
            tests = run_tests(grid, plan, resampling)
    write_csv(output_dir / "tests.csv", families.COLUMNS, (test.row() for test in tests))
    primary = findings[judge]
    write_csv(output_dir / "hypotheses.csv", hypotheses.COLUMNS, (f.row() for f in primary))
    write_atomic(output_dir / "hypotheses.md", _markdown(primary, judge, notes).encode("utf-8"))
    sensitivity = list(_sensitivity(findings, judge, notes))
    write_csv(output_dir / "judge_sensitivity.csv", SENSITIVITY_COLUMNS, sensitivity)
    corrections = correct_all(rows, judges, plan, calibration, reference or [])
    write_csv(output_dir / "corrected.csv", corrected.COLUMNS, corrections)
    text = corrected_markdown(corrections, plan, notes)
    write_atomic(output_dir / "corrected.md", text.encode("utf-8"))
    known = power.published_rates(published) if published else {}
    power_table = power.power_rows(grid_of(rows, judge), plan, known)
    write_csv(output_dir / "power.csv", power.COLUMNS, power_table)
    for finding in primary:
        if finding.part == hypotheses.WHOLE:
            print(f"{finding.hypothesis}: {finding.verdict}. {finding.words}")
    absent = sum(not test.present for test in tests)
    print(f"statistics: {len(tests)} tests declared, {absent} not present; see tests.csv")


def _markdown(findings: Sequence[Finding], judge: str, notes: Mapping[str, str]) -> str:
    lines = [f"Labels by the judge {judge}{f' ({notes[judge]})' if judge in notes else ''}.", ""]
    whole = [finding for finding in findings if finding.part == hypotheses.WHOLE]
    for finding in whole:
        statement = hypotheses.STATEMENTS[finding.hypothesis]
        lines.append(f"- **{finding.hypothesis}. {statement}** {finding.verdict.capitalize()}.")
        lines.append(f"  Contrast: {finding.contrast}. {finding.words}")
    rows = [(f, f.row()) for f in findings if f.part != hypotheses.WHOLE]
    body = [
        [f.hypothesis, f.part, *(str(row[c] or "") for c in _SHOWN), f.verdict] for f, row in rows
    ]
    header = ["hypothesis", "part", *_SHOWN, "verdict"]
    return "\n".join([*lines, "", markdown_grid(header, body), ""])


_SHOWN = ("n", "estimate", "low", "high", "p_adjusted")


def _sensitivity(
    findings: Mapping[str, Sequence[Finding]], primary: str, notes: Mapping[str, str]
) -> list[dict[str, Field]]:
    rows: list[dict[str, Field]] = []
    for at, reference in enumerate(findings[primary]):
        for judge, of_judge in findings.items():
            row = of_judge[at].row()
            kept = ("hypothesis", "part", "estimate", "low", "high", "p_adjusted", "verdict")
            rows.append(
                {
                    **{name: row[name] for name in kept},
                    "judge": judge,
                    "note": notes.get(judge),
                    "primary_judge": primary,
                    "primary_verdict": reference.verdict,
                    "changes": str(of_judge[at].verdict != reference.verdict).lower(),
                }
            )
    return rows
