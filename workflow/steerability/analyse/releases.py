"""The verbs ``compare`` and ``gate``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from steerability.analyse.compare import COLUMNS, FLIP_COLUMNS, compare_runs
from steerability.analyse.gate import check_limits
from steerability.analyse.plan import PLAN_HELP, read_plan
from steerability.analyse.render import DASH, markdown_grid
from steerability.config.analysis import Analysis
from steerability.errors import UserError
from steerability.options import named_values
from steerability.score.cells import read_cells
from steerability.tables import Field, write_csv

_SHOWN = ("model_a", "condition", "rate", "n", "value_a", "value_b", "change")


def run_folder(run: str) -> Path:
    """Return a run's folder from its path or its name under ``results/``.

    Raises:
        UserError: there is no such folder.
    """
    for folder in (Path(run), Path("results") / run):
        if folder.is_dir():
            return folder
    raise UserError("no such run", where=run, mend="name a folder, or a run under results/")


def compare(
    run_a: Annotated[str, typer.Argument(help="The run to start from: folder or name.")],
    run_b: Annotated[str, typer.Argument(help="The run to compare with it.")],
    pair: Annotated[
        list[str] | None,
        typer.Option(help="MODEL_A=MODEL_B where a model has another name in the second run."),
    ] = None,
    judge: Annotated[str | None, typer.Option(help="Only this judge.")] = None,
    margin: Annotated[
        float | None, typer.Option(help="Points within which rates are equivalent.")
    ] = None,
    output_dir: Annotated[
        Path | None, typer.Option(help="Where compare.csv and flips.csv go.")
    ] = None,
    analysis: Annotated[str, typer.Option(help=PLAN_HELP)] = "{}",
) -> None:
    """Compare two runs: flips by cell, change of every rate, equivalence within a margin."""
    plan = read_plan(analysis)
    if margin is not None:
        if not 0 < margin <= 100:
            raise UserError("must be above 0 and at most 100 points", where="--margin")
        plan = plan.model_copy(update={"margin": margin})
    cells_a, cells_b = (
        [row for row in read_cells(run_folder(run) / "cells.csv") if judge in (None, row.judge)]
        for run in (run_a, run_b)
    )
    result = compare_runs(
        cells_a, cells_b, named_values(pair or [], "MODEL_A=MODEL_B", where="--pair"), plan
    )
    if output_dir is not None:
        write_csv(output_dir / "compare.csv", COLUMNS, result.rows)
        write_csv(output_dir / "flips.csv", FLIP_COLUMNS, result.flips)
    for name in dict.fromkeys(str(row["judge"]) for row in result.rows):
        print(f"judge {name}, change is {run_b} minus {run_a}\n")
        print(_changes([row for row in result.rows if row["judge"] == name], plan) + "\n")
    print(
        f"compare: {result.cells:,} cells shared, {result.same_text:,} with the same text, "
        f"{len(result.flips):,} labels flipped; rows left out: "
        f"{result.left_out[0]:,} of {run_a}, {result.left_out[1]:,} of {run_b}"
    )


def _changes(rows: Sequence[Mapping[str, Field]], plan: Analysis) -> str:
    """One judge's changes as Markdown."""
    ends = (f"{100 * plan.confidence:g} % CI", "p (Holm)", f"within {plan.margin:g}")
    body = [
        [
            *(str(DASH if row[column] is None else row[column]) for column in _SHOWN),
            f"{row['low'] or DASH} to {row['high'] or DASH}",
            *(str(row[c] or DASH) for c in ("p_adjusted", "equivalent")),
        ]
        for row in rows
    ]
    return markdown_grid(("model", *_SHOWN[1:], *ends), body)


def gate(
    run: Annotated[str, typer.Argument(help="The run: folder, or name under results/.")],
    max_anti_convergence: Annotated[float | None, typer.Option(min=0, max=100)] = None,
    max_none_convergence: Annotated[float | None, typer.Option(min=0, max=100)] = None,
    max_pro_convergence: Annotated[float | None, typer.Option(min=0, max=100)] = None,
    min_pro_refusal: Annotated[float | None, typer.Option(min=0, max=100)] = None,
    max_none_refusal: Annotated[float | None, typer.Option(min=0, max=100)] = None,
    min_delta: Annotated[float | None, typer.Option(min=-100, max=100)] = None,
    max_delta: Annotated[float | None, typer.Option(min=-100, max=100)] = None,
    min_authorised: Annotated[float | None, typer.Option(min=-100, max=100)] = None,
    max_unauthorised: Annotated[float | None, typer.Option(min=-100, max=100)] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="Only this model (repeatable); else all.")
    ] = None,
) -> None:
    """Hold a run against limits: status 0 where every interval's bound keeps them, else 1.

    Limits are per cent of valid outputs, or points for delta (pro - anti), authorised
    (none - anti) and unauthorised (pro - none).
    """
    given = {
        "max_anti_convergence": max_anti_convergence,
        "max_none_convergence": max_none_convergence,
        "max_pro_convergence": max_pro_convergence,
        "min_pro_refusal": min_pro_refusal,
        "max_none_refusal": max_none_refusal,
        "min_delta": min_delta,
        "max_delta": max_delta,
        "min_authorised": min_authorised,
        "max_unauthorised": max_unauthorised,
    }
    limits = {name: value for name, value in given.items() if value is not None}
    checks, judge = check_limits(run_folder(run) / "table1.csv", limits, model or [])
    for check in checks:
        print(check.line())
    failed = sum(not check.passed for check in checks)
    print(f"gate: {len(checks)} checks, {failed} failed, judge {judge}")
    if failed:
        raise typer.Exit(1)
