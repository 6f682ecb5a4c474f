"""``config/weights.csv``: where each weight comes from and what it must be."""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator

from steerability.loading.weight_file import SHARD, shard_names
from steerability.protocol.base import HEX_PATTERN, NAME_PATTERN, Record
from steerability.support.address import check_address
from steerability.support.errors import UserError
from steerability.support.files import write_atomic
from steerability.support.jsonl import explain
from steerability.support.tables import read_pinned

SourceKind = Literal["hub", "package", "url", "file"]
MOST_BYTES = 1 << 50
_REPOSITORY = r"^([A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)?)?$"
_REVISION = r"^[A-Za-z0-9][A-Za-z0-9._/+!-]*$"


class WeightPin(Record):
    """One row of the weights table.

    Attributes:
        name: what configs call the weight.
        source: ``hub`` (a Hugging Face repository), ``package`` (a file inside a Python
            package), ``url``, or ``file`` (a path on this machine).
        repository: the hub repository or the Python distribution; empty for the others.
        revision: the hub commit or the package's version; None when not yet known.
        file: the file in the repository or package, the URL, or the path. A first shard
            (``-00001-of-0000N.gguf``) stands for all of them.
        sha256: the digest, over all shards (``loading.weight_file``); None when not yet known.
        bytes: the size, all shards together; None when not yet known.
        licence: SPDX identifier of the weights.
    """

    name: str = Field(pattern=NAME_PATTERN, max_length=120)
    source: SourceKind
    repository: str = Field(default="", pattern=_REPOSITORY)
    revision: str | None = Field(default=None, pattern=_REVISION)
    file: str = Field(min_length=1)
    sha256: str | None = Field(default=None, pattern=HEX_PATTERN)
    bytes: int | None = Field(default=None, gt=0, le=MOST_BYTES)
    licence: str = Field(min_length=1)

    @field_validator("revision", "sha256", "bytes", mode="before")
    @classmethod
    def _empty_is_unknown(cls, value: Any) -> Any:
        return None if value == "" else value

    @field_validator("file", "licence")
    @classmethod
    def _is_printable(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("holds a control character")
        return value

    @field_validator("bytes", mode="before")
    @classmethod
    def _is_plain(cls, value: Any) -> Any:
        if isinstance(value, str) and value and not (value.isascii() and value.isdecimal()):
            raise ValueError(f"{value[:40]!r} is no number of bytes")
        return value

    @model_validator(mode="after")
    def _file_can_be(self) -> "WeightPin":
        path = PurePosixPath(urlsplit(self.file).path if self.source == "url" else self.file)
        if self.source == "url":
            address = urlsplit(self.file)
            check_address(f"{address.scheme}://{address.netloc}")
        elif self.source != "file" and (path.is_absolute() or ".." in path.parts):
            raise ValueError("file: a path goes down from the repository's root, without '..'")
        if not path.name:
            raise ValueError(f"file: {self.file} names no file")
        try:
            first = shard_names(path.name)[0]
        except UserError as error:
            raise ValueError(f"file: {error}") from error
        if SHARD.match(path.name) and path.name != first:
            raise ValueError(f"file: {path.name} is not the first shard, {first}")
        return self

    @model_validator(mode="after")
    def _whole(self) -> "WeightPin":
        if self.source in ("hub", "package") and not self.repository:
            raise ValueError(f"a {self.source} weight needs a repository")
        if self.source != "hub" and self.sha256 is None:
            raise ValueError(f"a {self.source} weight needs its sha256")
        if self.source == "hub" and self.repository.count("/") != 1:
            raise ValueError(f"a hub repository is OWNER/NAME, not {self.repository}")
        return self


COLUMNS = tuple(WeightPin.model_fields)


def read_pins(table: Path) -> dict[str, WeightPin]:
    """Return the weights table's pins by name; raises as ``read_pinned`` does."""
    return read_pinned(table, WeightPin)


def find_pin(table: Path, name: str) -> WeightPin:
    """Return the pin of a name; raises as ``read_pins`` and ``pick_pin`` do."""
    return pick_pin(read_pins(table), name, table)


def pick_pin(pins: Mapping[str, WeightPin], name: str, table: Path) -> WeightPin:
    """Return the pin of a name.

    Args:
        pins: the weights table's.
        name: the weight.
        table: where they stand, for the message.

    Raises:
        UserError: no such row; names those there are.
    """
    if name not in pins:
        raise UserError(
            f"no weight is called {name}",
            where=table,
            mend=f"use one of {', '.join(pins)}, or add a row",
        )
    return pins[name]


def write_pins(table: Path, pins: Iterable[WeightPin]) -> None:
    """Write the weights table, atomically; only pins that can be read again.

    Raises:
        UserError: a pin is none; the table stays as it is.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for pin in pins:
        row = pin.model_dump()
        try:
            WeightPin.model_validate(row)
        except ValidationError as error:
            raise UserError(explain(error), where=f"{table} {pin.name}") from error
        writer.writerow({key: "" if value is None else value for key, value in row.items()})
    write_atomic(table, text.getvalue().encode("utf-8"))
