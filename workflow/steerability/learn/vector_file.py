"""Control vectors and LoRA written as GGUF files that llama.cpp's own tools read.

The same numbers give the same bytes: no clock, no path, no name of a machine. ``direction.k`` is
what llama.cpp adds to the output of block k, counted from 0.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from steerability.engine.gguffile import write_gguf
from steerability.support.canonical import sha256_file
from steerability.support.errors import UserError
from steerability.support.files import write_atomic

Fields = Mapping[str, str | int | float]


def write_vector(path: Path, architecture: str, rows: NDArray[np.floating], layers: range) -> str:
    """Write a control vector.

    Args:
        path: where to.
        architecture: of the model, as llama.cpp calls it.
        rows: blocks × width; row k is the direction of block k.
        layers: the blocks to write, from 1 on.

    Returns:
        The file's SHA-256, in hex.

    Raises:
        UserError: no layer of these holds anything.
    """
    tensors = {
        f"direction.{block}": np.asarray(rows[block], np.float32)
        for block in layers
        if block > 0 and rows[block].any()
    }
    if not tensors:
        raise UserError(
            "the two sides of the pairs do not differ in any layer",
            where=path,
            mend="give pairs that differ, or more layers",
        )
    fields: Fields = {
        "controlvector.model_hint": architecture,
        "controlvector.layer_count": len(rows) - 1,
    }
    return _publish(path, "controlvector", fields, tensors)


def write_lora(
    path: Path, architecture: str, tensors: Mapping[str, NDArray[np.float32]], alpha: float
) -> str:
    """Write a LoRA.

    Args:
        path: where to.
        architecture: of the model.
        tensors: factors ``NAME.lora_a`` (rank × inputs) and ``NAME.lora_b`` (outputs × rank).
        alpha: llama.cpp scales the product by ``alpha / rank``.

    Returns:
        The file's SHA-256, in hex.
    """
    fields: Fields = {
        "general.type": "adapter",
        "adapter.type": "lora",
        "adapter.lora.alpha": float(alpha),
    }
    return _publish(path, architecture, fields, tensors)


def _publish(
    path: Path, architecture: str, fields: Fields, tensors: Mapping[str, NDArray[np.float32]]
) -> str:
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "adapter.gguf"
        write_gguf(written, architecture, fields, tensors)
        write_atomic(path, written.read_bytes())
    return sha256_file(path)
