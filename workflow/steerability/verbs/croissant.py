"""The verb ``croissant``."""

from pathlib import Path
from typing import Annotated

import typer

from steerability.export.croissant import write
from steerability.support.console import note


def croissant(
    file: Annotated[Path, typer.Argument(help="A suite with about.yaml beside it.")],
) -> None:
    """Describe a suite in Croissant 1.1: croissant.json and scenarios.jsonl beside it."""
    for path in write(file):
        note(f"croissant: {path}")
