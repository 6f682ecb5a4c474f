"""The verb ``needs``."""

from pathlib import Path
from typing import Annotated

import typer


def needs(
    configfile: Annotated[
        list[Path] | None, typer.Option(help="the config; repeat to lay one over another")
    ] = None,
    vram: Annotated[float, typer.Option(min=1, help="memory of the graphics card, in GB")] = 80.0,
    bandwidth: Annotated[
        float, typer.Option(min=0.01, help="bandwidth of that memory, in TB/s")
    ] = 3.35,
    page: Annotated[bool, typer.Option("--page", help="print the text of docs/needs.md")] = False,
) -> None:
    """Compute what a config (config.yaml when none is named) needs of disk, VRAM and time.

    Nothing is fetched or measured. A weight that is here already is read off its header.
    """
    from steerability.needs import needs as room

    if page:
        print(room.page(Path()), end="")
        return
    card = room.Card(round(vram * 1e9), bandwidth * 1e12)
    room.show(configfile or [Path("config.yaml")], card)
