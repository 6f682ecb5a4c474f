"""The verb ``erase``."""

from pathlib import Path
from typing import Annotated

import typer


def erase(
    weights: Annotated[Path, typer.Option(help="GGUF file.")],
    direction: Annotated[Path, typer.Option(help="Control vector that holds the direction.")],
    output: Annotated[Path, typer.Option(help="Where the LoRA goes (GGUF).")],
    layer: Annotated[
        int | None,
        typer.Option(min=1, help="Whose direction; default: the middle one of those it holds."),
    ] = None,
) -> None:
    """Write a LoRA of rank 1 that takes a direction out of all writes to the residual stream.

    At strength 1 the stream keeps what the token embeddings hold of it, at less strength more.
    """
    from steerability.learn.direction_file import pick, read_direction
    from steerability.learn.erasure import Tensors, erasing
    from steerability.learn.vector_file import write_lora
    from steerability.loading.weight_file import load_path
    from steerability.support.console import note

    model, rows = read_direction(weights, direction)
    chosen = pick(rows, layer, direction)
    unit = rows[chosen]
    factors, left = erasing(Tensors(load_path(weights)), unit, model.blocks, weights)
    sha256 = write_lora(output, model.architecture, factors, 1.0)
    beside = f", but for {', '.join(left)}" if left else ""
    note(f"erase: the direction of layer {chosen}, {len(factors) // 2} weights{beside}, {sha256}")
