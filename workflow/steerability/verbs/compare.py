"""The verb ``compare``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from steerability.compare.folder import run_folder
from steerability.compare.runs import COLUMNS, FLIP_COLUMNS, compare_runs
from steerability.config.analysis import Analysis
from steerability.config.read_analysis import PLAN_HELP, read_plan
from steerability.report.tables.render import DASH, markdown_grid
from steerability.score.cells import read_cells
from steerability.support.errors import UserError
from steerability.support.options import named_values
from steerability.support.tables import Field, write_csv

_SHOWN = ("model_a", "condition", "rate", "n", "value_a", "value_b", "change")


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
