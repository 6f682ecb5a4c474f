"""The verb ``interventions``."""

from pathlib import Path
from typing import Annotated

import typer

from steerability.suites.load import load_intervention
from steerability.support.errors import UserError
from steerability.support.jsonl import write_records


def interventions(
    texts: Annotated[
        list[str], typer.Argument(metavar="NAME=FILE…", help="an empty FILE stands for no suffix")
    ],
    output: Annotated[Path, typer.Option(help="Write one intervention a line here.")],
) -> None:
    """Read the intervention texts of a run."""
    loaded = []
    for word in texts:
        name, equals, file = word.partition("=")
        if not equals:
            raise UserError("an intervention is given as NAME=FILE", where=word)
        loaded.append(load_intervention(name, Path(file) if file else None))
    write_records(output, loaded)
    sizes = ", ".join(f"{item.name} {len(item.text)} characters" for item in loaded)
    print(f"interventions: {sizes}")
