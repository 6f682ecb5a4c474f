"""A learnt direction read back, and which of its layers are meant."""

import re
from pathlib import Path

import numpy as np

from steerability.engine.adapterfiles import ModelShape, read_vector
from steerability.engine.weights import Weights
from steerability.learn.ordered import Array
from steerability.loading.engine_errors import blaming
from steerability.loading.weight_file import load_path, shard_files
from steerability.support.errors import UserError


def read_direction(weights: Path, vector: Path) -> tuple[ModelShape, Array]:
    """Return a model's shape and a control vector's rows, blocks × width in float64.

    Raises:
        UserError: either is at fault, or they do not fit each other.
    """
    shard_files(weights)
    with blaming(weights), Weights(load_path(weights), vocabulary_only=True) as header:
        model = ModelShape.of(header)
        file = read_vector(vector, model)
    first = np.zeros((1, model.width))
    return model, np.concatenate([first, file.rows.astype(np.float64)])


def pick(rows: Array, layer: int | None, where: Path) -> int:
    """Return the layer whose direction is meant: the one named, or the middle one of those held.

    Raises:
        UserError: the file holds none for that layer, or none at all.
    """
    held = [block for block in range(len(rows)) if rows[block].any()]
    if not held:
        raise UserError("all its directions are zero", where=where)
    if layer is None:
        return held[len(held) // 2]
    if layer not in held:
        raise UserError(
            f"holds no direction for layer {layer}",
            where=where,
            mend=f"name one from {held[0]} to {held[-1]}",
        )
    return layer


def span(text: str, blocks: int) -> range:
    """Return the blocks of ``FIRST:LAST``, both counted in; all from 1 on for an empty text.

    Raises:
        UserError: it is no such text, or not within the model.
    """
    if not text:
        return range(1, blocks)
    found = re.fullmatch(r"(\d{1,5}):(\d{1,5})", text)
    if found is None:
        raise UserError(f"{text!r} is not FIRST:LAST", where="--layers", mend="give 5:20, say")
    first, last = int(found[1]), int(found[2])
    if not 1 <= first <= last < blocks:
        raise UserError(
            f"the blocks {first} to {last} are not all of the model's",
            where="--layers",
            mend=f"name blocks from 1 to {blocks - 1}; none can be added to block 0",
        )
    return range(first, last + 1)
