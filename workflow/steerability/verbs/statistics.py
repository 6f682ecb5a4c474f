"""The verb ``statistics``: tests, hypotheses and what of them hangs on the judge."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from steerability.config.read_study import SPEC_HELP, read_study
from steerability.config.study import Study
from steerability.estimate.grid import Grid, main_grids
from steerability.estimate.resampling import Resamplings
from steerability.inference import corrected, families, hypotheses, power
from steerability.inference.corrections import correct_all
from steerability.inference.families import Test, headline_gap, run_tests
from steerability.inference.hypotheses import Finding, judge_hypotheses
from steerability.inference.wording import STATEMENTS
from steerability.report.tables.corrected import corrected_markdown
from steerability.report.tables.render import markdown_grid
from steerability.score.cells import read_cells
from steerability.support.files import write_atomic
from steerability.support.tables import Field, write_csv

SENSITIVITY_COLUMNS = (
    *("hypothesis", "part", "judge", "note", "estimate", "low", "high", "p_adjusted"),
    *("verdict", "primary_judge", "primary_verdict", "changes"),
)


def statistics(
    output_dir: Annotated[Path, typer.Option(help="The run's folder.")],
    spec: Annotated[str, typer.Option(help=SPEC_HELP)] = "{}",
    cells: Annotated[
        Path | None, typer.Option(help="The tidy table of labels (cells.csv), if there is one.")
    ] = None,
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
) -> None:
    """Write the declared tests, the hypotheses, corrected rates and the power of the suite.

    They are of the first task with labels; the contrasts of every task are in contrasts.csv.
    """
    study = read_study(spec)
    rows = read_cells(cells) if cells else []
    grids = main_grids(rows, study) if rows else {}
    corrections = correct_all(rows, grids, study, calibration, reference or []) if grids else []
    del rows  # large; the arrays are enough from here on
    findings, tests = _inferred(grids, study)
    write_csv(output_dir / "tests.csv", families.COLUMNS, (test.row() for test in tests))
    primary = next(iter(findings.values()), [])
    write_csv(output_dir / "hypotheses.csv", hypotheses.COLUMNS, (f.row() for f in primary))
    text = _markdown(primary, next(iter(grids)), study) if grids else "The run has no labels.\n"
    write_atomic(output_dir / "hypotheses.md", text.encode("utf-8"))
    sensitivity = list(_sensitivity(findings, study.notes))
    write_csv(output_dir / "judge_sensitivity.csv", SENSITIVITY_COLUMNS, sensitivity)
    write_csv(output_dir / "corrected.csv", corrected.COLUMNS, corrections)
    text = corrected_markdown(corrections, study)
    write_atomic(output_dir / "corrected.md", text.encode("utf-8"))
    power_table = _power(grids, study, published)
    write_csv(output_dir / "power.csv", power.columns(study), power_table)
    for finding in primary:
        if finding.part == hypotheses.WHOLE:
            print(f"{finding.hypothesis}: {finding.verdict}. {finding.words}")
    absent = sum(not test.present for test in tests)
    print(f"statistics: {len(tests)} tests declared, {absent} not present; see tests.csv")


def _inferred(
    grids: Mapping[str, Grid], study: Study
) -> tuple[dict[str, list[Finding]], list[Test]]:
    """The findings under every judge, and the tests under the first, primary one."""
    findings: dict[str, list[Finding]] = {}
    tests: list[Test] = []
    draws = Resamplings(study.analysis)
    for judge, grid in grids.items():
        resampling = draws.of(grid.categories)
        if not findings:
            tests = run_tests(grid, study, resampling)
        findings[judge] = judge_hypotheses(grid, study, resampling)
    return findings, tests


def _power(
    grids: Mapping[str, Grid], study: Study, published: Path | None
) -> list[dict[str, Field]]:
    gap = headline_gap(study)
    if not grids or gap is None:
        return []
    primary = next(iter(grids.values()))
    event = primary.scale.event
    known = power.published_rates(published, (gap.a, gap.b), event) if published else {}
    return power.power_rows(primary, study, known)


def _markdown(findings: Sequence[Finding], judge: str, study: Study) -> str:
    note = f" ({study.notes[judge]})" if judge in study.notes else ""
    lines = [f"Labels by the judge {judge}{note}.", ""]
    whole = [finding for finding in findings if finding.part == hypotheses.WHOLE]
    for finding in whole:
        statement = STATEMENTS[finding.hypothesis]
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
    findings: Mapping[str, Sequence[Finding]], notes: Mapping[str, str]
) -> list[dict[str, Field]]:
    """Every finding under every judge, beside the primary one's, which comes first."""
    rows: list[dict[str, Field]] = []
    primary = next(iter(findings), "")
    for at, reference in enumerate(findings.get(primary, ())):
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
