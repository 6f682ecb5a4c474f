"""What a weight file weighs and how it is shaped: read off the file, or as published.

A file at hand speaks for itself, by its header. Until then the size is the locked one, and what is
missing comes from ``workflow/reference/checkpoints.csv``, which names a source for every row.
"""

from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field

from steerability.engine.memory import Demand
from steerability.engine.weights import Weights
from steerability.fetch.pins import WeightPin
from steerability.fetch.weights import Places, on_this_machine
from steerability.loading.engine_errors import blaming
from steerability.loading.weight_file import load_path, weights_bytes
from steerability.protocol.base import NAME_PATTERN, Record
from steerability.support.tables import read_pinned

PUBLISHED = Path("workflow/reference/checkpoints.csv")
Origin = Literal["header", "published"]


class Published(Record):
    """A weight as its makers describe it.

    Attributes:
        name: as in the weights table.
        bytes: size of the file.
        layers: transformer blocks.
        kv_heads: heads of keys and values in each.
        key_width: numbers in a key.
        value_width: numbers in a value.
        source: where that is written.
    """

    name: str = Field(pattern=NAME_PATTERN)
    bytes: int = Field(gt=0)
    layers: int = Field(gt=0)
    kv_heads: int = Field(gt=0)
    key_width: int = Field(gt=0)
    value_width: int = Field(gt=0)
    source: str = Field(min_length=1)

    @property
    def cell(self) -> int:
        """Bytes of KV cache per token of context, keys and values in 16 bits."""
        return 2 * self.layers * self.kv_heads * (self.key_width + self.value_width)


class Facts(NamedTuple):
    """What the memory formula asks of a weight, and where it was read."""

    demand: Demand
    origin: Origin


def read_published(home: Path) -> dict[str, Published]:
    """Return the published facts by weight.

    Args:
        home: the repository.

    Raises:
        UserError: the table is missing or wrong.
    """
    return read_pinned(home / PUBLISHED, Published)


def facts_of(
    pin: WeightPin, published: dict[str, Published], places: Places | None
) -> Facts | None:
    """Return a weight's facts, or None where they are not known before it is fetched.

    Args:
        pin: its row of the weights table.
        published: see ``read_published``.
        places: where the file may lie; None looks nowhere and takes no locked size either.

    Raises:
        UserError: the file is there but is no GGUF.
    """
    path = on_this_machine(pin, places) if places is not None else None
    if path is not None:
        return Facts(_header(path), "header")
    known = published.get(pin.name)
    if known is None:
        return None
    size = (pin.bytes if places is not None else None) or known.bytes
    return Facts(Demand(size, known.cell, known.layers + 1), "published")


def _header(path: Path) -> Demand:
    with blaming(path), Weights(load_path(path), vocabulary_only=True) as header:
        return Demand.of(header, weights_bytes(path))
