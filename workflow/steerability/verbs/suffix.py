"""The verb ``suffix``."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from steerability.fetch.sources import SourceFolder
from steerability.suites.instrumentaleval import load_instrumentaleval
from steerability.support.errors import UserError
from steerability.support.files import write_atomic
from steerability.transcripts import layout
from steerability.transcripts.runs import recover_suffix

Folder = Annotated[Path, typer.Option(help="Folder of the fetched sources.")]
Table = Annotated[Path, typer.Option(help="Table of outside files.")]
Suffixes = Annotated[Path, typer.Option(help="Table of the digests of the published suffixes.")]
FOLDER = Path("results/sources")
TABLE = Path("config/sources.csv")
SUFFIXES = Path("workflow/reference/suffixes.csv")


def suffix(
    intervention: Annotated[str, typer.Argument(help="pro or anti.")],
    output: Annotated[Path, typer.Option(help="Text file to write.")],
    sources: Folder = FOLDER,
    sources_table: Table = TABLE,
    suffixes: Suffixes = SUFFIXES,
) -> None:
    """Recover a published suffix text from a fetched log: steered prompt minus scenario."""
    if layout.MODES.get(intervention) in (None, layout.MODES["none"]):
        raise UserError(f"no published suffix is called {intervention}", mend="use pro or anti")
    folder = SourceFolder(sources_table, sources)
    found = recover_suffix(folder, load_instrumentaleval(folder), intervention, suffixes)
    write_atomic(output, (found.text + "\n").encode("utf-8"))
    print(f"suffix: {intervention}, {len(found.text)} characters", file=sys.stderr)
