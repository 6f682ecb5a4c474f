"""The verb ``lock``."""

from pathlib import Path
from typing import Annotated

import typer

from steerability.fetch.lock import lock_table
from steerability.fetch.transfer import Say
from steerability.support.console import note


def lock(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Weights to lock; all hub weights when none is named."),
    ] = None,
    weights_table: Annotated[Path, typer.Option(help="Table of weights.")] = Path(
        "config/weights.csv"
    ),
) -> None:
    """Ask the hub for commit, SHA-256 and size of weights and close the gaps of the table.

    Where a pin and the hub differ, both are shown and nothing is changed.
    """
    say = _speaker("lock")
    changed = lock_table(weights_table, names or [], say)
    say(f"{changed} rows of {weights_table} changed")


def _speaker(verb: str) -> Say:
    return lambda line: note(f"{verb}: {line}")
