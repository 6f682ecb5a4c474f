"""A direction taken out of all that a model writes to its residual stream, as a LoRA of rank 1.

A weight W that writes to the stream becomes W − s r rᵀW at strength s, with r of unit norm
(Arditi et al. 2024): B = −r, A = rᵀW of the dequantised weights. The token embeddings stay, so at
strength 1 the stream keeps of r what the embedding brought in.

Where the output passes a norm with weights w before it is added (Gemma 2 and 3, and others), what
must vanish is rᵀ diag(w) W x, so (w·r) takes the place of r in A, and −(w·r) / ‖w·r‖² in B; the
norm's own scaling changes a zero into a zero.
"""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from steerability.engine.gguffile import Header, read_header, shard_paths, values
from steerability.learn.ordered import Array, norms, total
from steerability.support.errors import UserError

_WRITER = re.compile(
    r"^blk\.(\d+)\.(attn_output|ffn_down|ffn_down_exps|ffn_down_shexp)\.(weight|bias)$"
)
_NORMS = {"attn_output": "post_attention_norm", "ffn_down": "post_ffw_norm"}


class Tensors:
    """A model's tensors, found in all its shards and read one at a time."""

    def __init__(self, path: Path) -> None:
        self._headers: list[tuple[Path, Header]] = [
            (shard, read_header(shard)) for shard in shard_paths(path)
        ]

    @property
    def names(self) -> list[str]:
        """All names, in the order of the files."""
        return [name for _, header in self._headers for name in header.tensors]

    def read(self, name: str) -> Array:
        """Return a tensor's values, dequantised, sizes in numpy's order."""
        for path, header in self._headers:
            if name in header.tensors:
                content = np.memmap(path, np.uint8, "r")
                return values(content, header.tensors[name]).astype(np.float64)
        raise KeyError(name)


def erasing(
    tensors: Tensors, direction: Array, blocks: int, where: Path
) -> tuple[dict[str, NDArray[np.float32]], list[str]]:
    """Return the factors that erase a direction, and the names of what they leave.

    Args:
        tensors: the model's.
        direction: of any norm but 0, as wide as the stream.
        blocks: how many the model has.
        where: the weights, for messages.

    Returns:
        Factors by name, rank 1, and the biases on the stream, which no LoRA reaches.

    Raises:
        UserError: the architecture writes to the stream by weights that are not known here.
    """
    unit = direction / norms(direction[None])[0]
    names = tensors.names
    known = set(names)
    found: dict[str, NDArray[np.float32]] = {}
    left, written = [], set()
    for name in names:
        match = _WRITER.match(name)
        if match is None:
            continue
        if match[3] == "bias":
            left.append(name)
            continue
        written.add((int(match[1]), match[2].partition("_")[0]))
        a, b = _factors(tensors.read(name), _seen(tensors, known, match[1], match[2], unit, where))
        found[f"{name}.lora_a"], found[f"{name}.lora_b"] = a, b
    for block in range(blocks):
        for part in ("attn", "ffn"):
            if (block, part) not in written:
                raise UserError(
                    f"block {block} has no {part}_{'output' if part == 'attn' else 'down'} that "
                    "writes to the residual stream",
                    where=where,
                    mend="erase in weights whose architecture has one",
                )
    return found, left


def _seen(
    tensors: Tensors, known: set[str], block: str, part: str, unit: Array, where: Path
) -> Array:
    """Return the direction as it must look before a norm behind the weight, if there is one."""
    kind = "attn_output" if part == "attn_output" else "ffn_down"
    behind = {kind: f"blk.{block}.{name}.weight" for kind, name in _NORMS.items()}
    there = [name for name in behind.values() if name in known]
    if not there:
        return unit
    if len(there) < len(behind):
        raise UserError(
            f"block {block} has {there[0]}, of which it is not known where it stands",
            where=where,
            mend="erase in weights of another architecture",
        )
    return unit * tensors.read(behind[kind])


def _factors(weight: Array, seen: Array) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return A = sᵀW and B = −s / ‖s‖² for W, or for each expert's.

    Args:
        weight: (experts ×) outputs × inputs.
        seen: s, as wide as the outputs.
    """
    a = total(np.moveaxis(weight, -2, 0) * seen.reshape(-1, *[1] * (weight.ndim - 1)))
    b = -seen / norms(seen[None])[0] ** 2
    shape = (*weight.shape[:-2], len(seen), 1)
    return (
        a[..., None, :].astype(np.float32),
        np.broadcast_to(b[:, None], shape).astype(np.float32),
    )


def projections(stream: Array, direction: Array) -> Array:
    """Return the stream's components along a direction, of unit norm.

    Args:
        stream: any number of rows × width.
        direction: of any norm but 0.
    """
    unit = direction / norms(direction[None])[0]
    return total((stream * unit).T)
