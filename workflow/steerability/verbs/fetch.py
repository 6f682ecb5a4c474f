"""The verb ``fetch``."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from steerability.fetch.download import fetch_sources
from steerability.fetch.pins import WeightPin, find_pin
from steerability.fetch.sources import RAW_FILES, SourceFolder
from steerability.fetch.transfer import Say, together
from steerability.fetch.weights import Places, obtain
from steerability.support.console import note
from steerability.support.errors import UserError


def fetch(
    files: Annotated[
        list[str] | None, typer.Argument(help="Files of the sources table, by name.")
    ] = None,
    all_sources: Annotated[
        bool,
        typer.Option("--all", help="All files of the sources table; of a mirror, those it has."),
    ] = False,
    mirror: Annotated[
        Path | None,
        typer.Option(help="Folder in the layout of the pinned repositories, for their URLs."),
    ] = None,
    output_dir: Annotated[Path, typer.Option(help="Folder that the files are put in.")] = Path(
        "results/sources"
    ),
    sources_table: Annotated[Path, typer.Option(help="Table of outside files.")] = Path(
        "config/sources.csv"
    ),
    base_url: Annotated[str, typer.Option(help="Server of the pinned files.")] = RAW_FILES,
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

    A file of the sources table ends as OUTPUT_DIR/NAME. With a mirror its own files are checked
    too, whether they are in their place already or not.

    A weight ends as WEIGHTS_DIR/<sha256>.gguf with a link WEIGHTS_DIR/NAME.gguf to it. Files that
    are there already (in WEIGHTS_DIR, a --search folder, the hub's cache, an installed package)
    are taken when their digest is right and not fetched again.
    """
    if not weights and not files and not all_sources:
        raise UserError(
            "nothing to fetch", mend="name files, or give --all, or name a weight with --weights"
        )
    say = _speaker("fetch")
    if files or all_sources:
        table = SourceFolder(sources_table, output_dir)
        wanted = [table.source(name) for name in files or ()]
        if all_sources:
            wanted = list(table.sources.values())
        fetch_sources(table, wanted, mirror, base_url, say, lenient=all_sources)
    if not weights:
        return
    places = Places(weights_dir, search or [], weights_table, requirements)
    pins = [find_pin(weights_table, name) for name in weights]
    together([partial(_obtain, pin, places, say) for pin in pins])


def _speaker(verb: str) -> Say:
    return lambda line: note(f"{verb}: {line}")


def _obtain(pin: WeightPin, places: Places, say: Say) -> None:
    print(obtain(pin, places, say).path, flush=True)
