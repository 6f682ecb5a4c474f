"""The verb ``flips``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from steerability.support.canonical import canonical_json
from steerability.support.errors import UserError
from steerability.support.files import write_atomic

Files = list[Path]


def flips(
    first: Annotated[Files, typer.Option(help="outputs or completions of the one side")],
    second: Annotated[Files, typer.Option(help="those of the other, of the same cells")],
    first_labels: Annotated[Files | None, typer.Option(help="labels of the one side")] = None,
    second_labels: Annotated[Files | None, typer.Option(help="those of the other")] = None,
    output: Annotated[Path | None, typer.Option(help="write the counts as JSON too")] = None,
) -> None:
    """Count the outputs and labels that change between two engines, plans or quantisations.

    Cells are matched by intervention and scenario, so the two sides may be two models.
    """
    from steerability.compare.outputs import Text, Verdict, by_cell, compare_labels, compare_texts

    if (first_labels is None) != (second_labels is None):
        raise UserError("labels of one side only", mend="give both --first-labels and --second-…")
    result: dict[str, Any] = {"outputs": compare_texts(by_cell(first, Text), by_cell(second, Text))}
    if first_labels and second_labels:
        result["labels"] = compare_labels(
            by_cell(first_labels, Verdict), by_cell(second_labels, Verdict)
        )
    if output is not None:
        write_atomic(output, canonical_json(result) + b"\n")
    for what, counts in result.items():
        low, high = (100 * bound for bound in counts["interval"])
        print(
            f"flips: {counts['changed']:,} of {counts['cells']:,} {what} differ "
            f"({100 * counts['share']:.1f} %, 95 % interval {low:.1f} to {high:.1f})"
        )
