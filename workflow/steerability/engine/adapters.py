"""Adapters as part of a job: which control vectors and LoRA, how strong, on which blocks.

They are named by the digests of their files. A control vector adds a row to the output of a block
(``direction.k`` to block k, counted from 0; block 0 never gets one); a LoRA adds a product of two
thin matrices to a weight. Several vectors are summed, several LoRA merged, both in their order.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from steerability.engine.errors import AdapterError

Kind = Literal["vector", "lora"]


@dataclass(frozen=True)
class Adapter:
    """One adapter of a job.

    Attributes:
        kind: what the file holds.
        sha256: the file's digest.
        strength: factor; 1 is the file as it stands, 0 none, below 0 the other way.
        layers: first and last block it acts on, counted from 0; None for all that it has.

    Raises:
        AdapterError: the strength is no finite number, or the range is empty.
    """

    kind: Kind
    sha256: str
    strength: float = 1.0
    layers: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.strength):
            raise AdapterError("the strength is no finite number")
        if self.layers is not None and not 0 <= self.layers[0] <= self.layers[1]:
            raise AdapterError(
                f"the layers {self.layers[0]} to {self.layers[1]} are none",
                "give the first and the last block, counted from 0",
            )

    def acts_on(self, block: int) -> bool:
        """Return whether a block is among its layers."""
        return self.layers is None or self.layers[0] <= block <= self.layers[1]

    def entry(self) -> dict[str, Any]:
        """Return its form in a key."""
        entry: dict[str, Any] = {
            "kind": self.kind,
            "sha256": self.sha256,
            "strength": self.strength,
        }
        return entry if self.layers is None else entry | {"layers": list(self.layers)}


@dataclass(frozen=True)
class Adapters:
    """The adapters of a job, in normal form: two that compute the same are equal.

    Make it with ``of``. Vectors and LoRA act on different places, so their order to each other
    does not matter; that within a kind is kept.
    """

    vectors: tuple[Adapter, ...] = ()
    loras: tuple[Adapter, ...] = ()

    @classmethod
    def of(cls, adapters: Iterable[Adapter]) -> "Adapters":
        """Return the set of some adapters; those of strength 0 do nothing and are left out."""
        acting = [adapter for adapter in adapters if adapter.strength != 0]
        return cls(
            tuple(adapter for adapter in acting if adapter.kind == "vector"),
            tuple(adapter for adapter in acting if adapter.kind == "lora"),
        )

    def __bool__(self) -> bool:
        return bool(self.vectors or self.loras)

    def key(self) -> list[dict[str, Any]]:
        """Return the form that stands in keys: vectors, then LoRA."""
        return [adapter.entry() for adapter in (*self.vectors, *self.loras)]


NONE = Adapters()


def grouped(wanted: Sequence[Adapters]) -> list[tuple[Adapters, list[int]]]:
    """Return the places of each adapter set, sets and places in the order of their appearance.

    Args:
        wanted: the adapter set of every job.
    """
    groups: dict[Adapters, list[int]] = {}
    for place, adapters in enumerate(wanted):
        groups.setdefault(adapters, []).append(place)
    return list(groups.items())
