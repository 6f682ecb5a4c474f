"""What a model needs of memory, and how many slots and layers fit, from the file's header alone.

Peak memory is the weights, the KV cache and ``CONSTANT_BYTES`` for everything else: compute
buffers, logits, saved prefixes, Python. The KV cache of a slot is ``cell`` bytes (keys and values
in 16 bits, all layers) for each of its cells, which are sized for the longest request.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from steerability.engine.context import cells_for
from steerability.engine.errors import InputError
from steerability.engine.weights import Weights

CONSTANT_BYTES = 768 << 20
SHARE = 0.9
GPU_CELL_GRID = 2048
_CGROUP = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")
_SMALLER = "use smaller or more quantised weights, a lower token limit, or a machine with more"


class MemoryShortError(InputError):
    """The machine's memory does not hold the model with a single sequence."""


@dataclass(frozen=True)
class Demand:
    """What a model needs.

    Attributes:
        weights: bytes of the file, all shards.
        cell: bytes of KV cache per token of context.
        layers: layers that can be put on an accelerator: the blocks and the output.
    """

    weights: int
    cell: int
    layers: int

    @classmethod
    def of(cls, header: Weights, file_bytes: int) -> "Demand":
        """Read it off a header; the tensors need not be loaded."""
        return cls(file_bytes, header.cell_bytes, header.number("block_count") + 1)

    def part(self, layers: int) -> "Demand":
        """Return the demand of so many of its layers."""
        share = layers / self.layers
        return Demand(int(self.weights * share), int(self.cell * share), layers)

    def loaded(self) -> "Demand":
        """Return what is left to ask for when the weights are in memory already."""
        return Demand(0, self.cell, self.layers)

    def slot(self, tokens: int) -> int:
        """Return the KV bytes of one slot that must hold so many tokens."""
        return self.cell * cells_for(tokens)

    def whole(self, tokens: int, width: int = 1) -> int:
        """Return the bytes of everything with so many slots."""
        return self.weights + CONSTANT_BYTES + width * self.slot(tokens)


def available() -> int:
    """Return the bytes this process may still take, by the machine and its control groups."""
    free = int(psutil.virtual_memory().available)
    rooms = [room for group in _groups() if (room := group.room()) is not None]
    return max(0, min([free, *rooms]))


@dataclass(frozen=True)
class _Group:
    """A control group: its folder, and what its version calls limit, use and page cache."""

    folder: Path
    limit: str
    used: str
    cache: str

    def room(self) -> int | None:
        """Return the bytes that the group may still take, None where it has no limit."""
        try:
            limit = (self.folder / self.limit).read_text().strip()
            used = int((self.folder / self.used).read_text())
            statistics = (self.folder / "memory.stat").read_text().splitlines()
            pairs = dict(line.split() for line in statistics)
            cache = int(pairs.get(self.cache, 0))
        except (OSError, ValueError):
            return None
        if not limit.isdecimal():
            return None
        return int(limit) - used + cache


def _groups() -> Iterator[_Group]:
    """Yield the groups that limit this process: its own and all above, of either version.

    A container's view begins at its own group, so a path that is not there stands for the root.
    """
    try:
        lines = _OWN_GROUPS.read_text().splitlines()
    except OSError:
        lines = []
    paths = {kinds: path for _, kinds, path in (line.split(":", 2) for line in lines)}
    of_memory = (path for kinds, path in paths.items() if "memory" in kinds.split(","))
    one = next(of_memory, "/")
    for folder in _upwards(_CGROUP / "memory", one):
        yield _Group(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_cache")
    for root in (_CGROUP, _CGROUP / "unified"):
        for folder in _upwards(root, paths.get("", "/")):
            yield _Group(folder, "memory.max", "memory.current", "file")


def _upwards(root: Path, path: str) -> list[Path]:
    own = root / path.lstrip("/")
    if ".." in own.parts or not own.is_dir():
        return [root]
    return [folder for folder in (own, *own.parents) if folder.is_relative_to(root)]


def fitting_width(demand: Demand, tokens: int, wanted: int, free: int, kind: str = "RAM") -> int:
    """Return how many slots, at most ``wanted``, a memory holds beside the weights.

    ``floor((0.9 * free - weights - constant) / slot)``.

    Args:
        demand: the model, whose tensors count in full although the system may share them.
        tokens: prompt and generated tokens of the longest job.
        wanted: the upper bound.
        free: bytes of the memory.
        kind: what the message calls it.

    Raises:
        MemoryShortError: not even one slot fits.
    """
    room = int(free * SHARE) - demand.weights - CONSTANT_BYTES
    width = min(wanted, room // max(demand.slot(tokens), 1))
    if width < 1:
        raise MemoryShortError(
            f"not enough memory: {gigabytes(demand.whole(tokens))} are needed for the weights and "
            f"one sequence of {tokens:,} tokens; {gigabytes(int(free * SHARE))} of {kind} can be "
            "used",
            _SMALLER,
        )
    return width


def device_width(demand: Demand, tokens: int, wanted: int, total: int) -> int:
    """Return how many slots, at most ``wanted``, an accelerator holds beside the whole model.

    The width stands in every key there, so it comes from the card's whole memory, not from what
    happens to be free, and from a context rounded up to a grid, so that a scenario a little
    longer than the others moves nothing; more than eight slots come in steps of eight.

    Args:
        demand: the model.
        tokens: prompt and generated tokens of the longest job.
        wanted: the upper bound.
        total: bytes of the card.

    Raises:
        MemoryShortError: not even one slot fits.
    """
    width = fitting_width(demand, _on_grid(tokens), wanted, total, "VRAM")
    return width if width < 8 else width - width % 8


def _on_grid(tokens: int) -> int:
    return -(-tokens // GPU_CELL_GRID) * GPU_CELL_GRID


def device_layers(demand: Demand, tokens: int, total: int, free_ram: int) -> int:
    """Return how many layers to put on an accelerator: all, as many as fit with one slot, or none.

    They stand in every key there: the context is rounded up as for ``device_width``.

    Args:
        demand: the model.
        tokens: prompt and generated tokens of the longest job.
        total: bytes of the card.
        free_ram: bytes that the rest of the model may take.

    Raises:
        MemoryShortError: card and RAM together do not hold the model; names both.
    """
    room = int(total * SHARE) - CONSTANT_BYTES
    per_layer = (demand.weights + demand.slot(_on_grid(tokens))) / demand.layers
    layers = min(demand.layers, max(0, int(room / per_layer)))
    rest = int((demand.layers - layers) * per_layer)
    if layers < demand.layers and rest + CONSTANT_BYTES > free_ram * SHARE:
        raise MemoryShortError(
            f"not enough memory: {gigabytes(demand.whole(tokens))} are needed for the weights and "
            f"one sequence of {tokens:,} tokens; {gigabytes(int(total * SHARE))} of VRAM and "
            f"{gigabytes(int(free_ram * SHARE))} of RAM can be used",
            _SMALLER,
        )
    return layers


def gigabytes(count: int) -> str:
    """Return a number of bytes in GB of 10**9, one decimal."""
    return f"{count / 1e9:.1f} GB"
