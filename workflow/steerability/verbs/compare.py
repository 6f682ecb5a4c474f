"""The verb ``compare``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from steerability.compare.folder import run_folder, study_of_run
from steerability.compare.runs import COLUMNS, FLIP_COLUMNS, compare_runs
from steerability.config.analysis import Analysis
from steerability.config.read_study import SPEC_HELP
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
    spec: Annotated[
        str | None, typer.Option(help=f"{SPEC_HELP} By default the first run's study.json.")
    ] = None,
) -> None:
    """Compare two runs: flips by cell, change of every rate, equivalence within a margin."""
    folders = [run_folder(run) for run in (run_a, run_b)]
    study = study_of_run(folders[0], spec)
    plan = study.analysis
    if margin is not None:
        if not 0 < margin <= 100:
            raise UserError("must be above 0 and at most 100 points", where="--margin")
        plan = plan.model_copy(update={"margin": margin})
    cells_a, cells_b = (
        [row for row in read_cells(folder / "cells.csv") if judge in (None, row.judge)]
        for folder in folders
    )
    named = named_values(pair or [], "MODEL_A=MODEL_B", where="--pair")
    study = study.model_copy(update={"analysis": plan})
    result = compare_runs(cells_a, cells_b, named, study)
    if output_dir is not None:
        write_csv(output_dir / "compare.csv", COLUMNS, result.rows)
        write_csv(output_dir / "flips.csv", FLIP_COLUMNS, result.flips)
    several = len({row["task"] for row in result.rows}) > 1
    for place in dict.fromkeys(_place(row) for row in result.rows):
        task, guard, name = place
        of = f"task {task}, " if several else ""
        behind = f" behind {guard}" if guard else ""
        print(f"{of}judge {name}{behind}, change is {run_b} minus {run_a}\n")
        print(_changes([row for row in result.rows if _place(row) == place], plan) + "\n")
    print(
        f"compare: {result.cells:,} cells shared, {result.same_text:,} with the same text, "
        f"{len(result.flips):,} labels flipped; rows left out: "
        f"{result.left_out[0]:,} of {run_a}, {result.left_out[1]:,} of {run_b}"
    )


def _place(row: Mapping[str, Field]) -> tuple[str, str, str]:
    return str(row["task"]), str(row["guard"]), str(row["judge"])


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
