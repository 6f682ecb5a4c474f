"""The verb ``page``."""

from pathlib import Path
from typing import Annotated

import typer

from steerability.report.page.build import render
from steerability.report.page.collect import collect
from steerability.report.page.statistics import FILES
from steerability.report.tables.names import NOTE_HELP, parse_notes
from steerability.support.files import write_atomic

PAGE = "index.html"


def page(
    folder: Annotated[Path, typer.Argument(help="the run's folder")],
    run: Annotated[str | None, typer.Option(help="the run's name; by default the folder's")] = None,
    note: Annotated[list[str] | None, typer.Option(help=NOTE_HELP)] = None,
) -> None:
    """Write ``index.html``: the run as one page that opens from disk without a network."""
    shown = collect(
        folder,
        name=run or folder.resolve().name,
        notes=parse_notes(note or []),
        extra=FILES,
    )
    content = render(shown).encode("utf-8")
    write_atomic(folder / PAGE, content)
    size = len(content) / 2**20
    print(f"page: {len(shown.completions):,} outputs, {size:.1f} MiB, {folder / PAGE}")
