"""How many slots fit the machine's memory.

Peak memory is the weights, the KV cache and ``CONSTANT_BYTES`` for everything else: compute
buffers, logits, saved prefixes, Python.
"""

from pathlib import Path

import psutil

from steerability.engine.context import cells_for
from steerability.engine.errors import EngineError
from steerability.engine.weights import Weights

CONSTANT_BYTES = 768 << 20
_SHARE = 0.9
_CGROUP = Path("/sys/fs/cgroup")


def available() -> int:
    """Return the bytes this process may still take, by the machine and its control group."""
    free = int(psutil.virtual_memory().available)
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
        statistics = (_CGROUP / "memory.stat").read_text()
    except (OSError, ValueError):
        return free
    if not limit.isdigit():
        return free
    cache = next(
        (int(line.split()[1]) for line in statistics.splitlines() if line.startswith("file ")), 0
    )
    return min(free, int(limit) - used + cache)


def slot_bytes(weights: Weights, tokens: int) -> int:
    """Return the KV bytes of one slot that must hold so many tokens."""
    return weights.cell_bytes * cells_for(tokens)


def fitting_width(weights: Weights, tokens: int, wanted: int, free: int | None = None) -> int:
    """Return how many slots, at most ``wanted``, the memory holds.

    Args:
        weights: the model, whose tensors count in full although the system may share them.
        tokens: prompt and generated tokens of the longest job.
        wanted: the upper bound.
        free: bytes to stay under; None asks the machine.

    Raises:
        EngineError: not even one slot fits.
    """
    free = available() if free is None else free
    room = int(free * _SHARE) - weights.size - CONSTANT_BYTES
    width = min(wanted, room // max(slot_bytes(weights, tokens), 1))
    if width < 1:
        need = weights.size + CONSTANT_BYTES + slot_bytes(weights, tokens)
        raise EngineError(
            f"not enough memory: {need / 1e9:.1f} GB are needed for one sequence of {tokens} "
            f"tokens, {free / 1e9:.1f} GB are free"
        )
    return width
