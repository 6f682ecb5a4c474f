"""The verb ``controls``."""

from pathlib import Path
from typing import Annotated

import typer


def controls(
    weights: Annotated[Path, typer.Option(help="GGUF file.")],
    direction: Annotated[Path, typer.Option(help="Control vector to set controls against.")],
    output_dir: Annotated[Path, typer.Option(help="Where random-01.gguf and so on go.")],
    count: Annotated[int, typer.Option(min=1, max=999, help="How many.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Of the random numbers.")] = 0,
) -> None:
    """Write random control vectors, in every layer as long as a learnt one."""
    from steerability.learn.controls import random_directions
    from steerability.learn.direction_file import read_direction
    from steerability.learn.vector_file import write_vector
    from steerability.support.console import note

    model, rows = read_direction(weights, direction)
    for number, drawn in enumerate(random_directions(rows, count, seed), start=1):
        path = output_dir / f"random-{number:02d}.gguf"
        write_vector(path, model.architecture, drawn, range(1, model.blocks))
    note(f"controls: {count} random directions in {output_dir}")
