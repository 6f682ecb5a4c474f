"""The verb ``interventions``."""

from pathlib import Path
from typing import Annotated

import typer

from steerability.inputs.interventions import load_recipe, read_recipes
from steerability.support.jsonl import write_records


def interventions(
    spec: Annotated[
        str,
        typer.Option(help="the interventions and their files, as JSON (inputs/interventions.py)"),
    ],
    output: Annotated[Path, typer.Option(help="Write one intervention a line here.")],
) -> None:
    """Read the texts and adapters of a run's interventions."""
    loaded = [load_recipe(recipe) for recipe in read_recipes(spec)]
    write_records(output, loaded)
    sizes = ", ".join(f"{item.name} {len(item.words)} characters" for item in loaded)
    print(f"interventions: {sizes}")
