"""The verb ``compare-published``."""

from pathlib import Path
from typing import Annotated

import typer

from steerability.compare.published import COLUMNS as COMPARISON_COLUMNS
from steerability.compare.published import absent, compare, disagreements
from steerability.support.console import note as say
from steerability.support.tables import write_csv


def compare_published(
    table: Annotated[Path, typer.Option(help="Table 1 of the run (table1.csv).")],
    reference: Annotated[Path, typer.Option(help="The published figures.")],
    output: Annotated[Path, typer.Option(help="Published, here and difference, one a line.")],
) -> None:
    """Compare Table 1 with the published one; status 1 where they differ beyond rounding."""
    compared = compare(table, reference)
    write_csv(output, COMPARISON_COLUMNS, [one.row() for one in compared])
    if differing := disagreements(compared):
        say(f"compare-published: differs from the published Table 1: {differing}")
        raise typer.Exit(1)
    gone = absent(compared)
    numbers = sum(one.present for one in compared)
    models = len({one.model for one in compared if one.present})
    plural = "" if models == 1 else "s"
    note_absent = f"; not in this run: {', '.join(gone)}" if gone else ""
    say(f"compare-published: {numbers} numbers of {models} model{plural} as published{note_absent}")
