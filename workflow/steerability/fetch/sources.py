"""``config/sources.csv``: the outside files that are fetched as they are, and what each must be.

None of them carries a licence, so none is part of this project: each stays where its authors put
it and is named here by repository, commit, path, size and SHA-256. A file is put at
``FOLDER/NAME``, and every reader gets it through ``SourceFolder``, which checks it as it reads.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from pydantic import Field, field_validator

from steerability.protocol.base import HEX_PATTERN, Record
from steerability.support.errors import UserError
from steerability.support.tables import read_pinned

RAW_FILES = "https://raw.githubusercontent.com"
MAX_BYTES = 64 * 1024 * 1024
SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9._-]*"


class Source(Record):
    """One row of the sources table.

    Attributes:
        name: what the file is called here, and its path below the folder of sources.
        repository: ``OWNER/NAME``.
        commit: the full commit id.
        path: the file's path in the repository, and below a mirror.
        sha256: of its bytes.
        bytes: its size.
        licence: SPDX identifier, or ``none``.
    """

    name: str = Field(pattern=rf"^{SEGMENT}(/{SEGMENT})*$")
    repository: str = Field(pattern=rf"^{SEGMENT}/{SEGMENT}$")
    commit: str = Field(pattern=r"^[0-9a-f]{40}$")
    path: str = Field(min_length=1)
    sha256: str = Field(pattern=HEX_PATTERN)
    bytes: int = Field(gt=0, le=MAX_BYTES)
    licence: str = Field(min_length=1)

    @field_validator("path")
    @classmethod
    def _stays_inside(cls, value: str) -> str:
        parts = value.split("/")
        if "\\" in value or "\0" in value or any(part in ("", ".", "..") for part in parts):
            raise ValueError("a path goes down from the repository's root, without '..'")
        return value

    def url(self, base: str) -> str:
        """Return where the file is on a server of raw files, the path percent-encoded."""
        return f"{base.rstrip('/')}/{self.repository}/{self.commit}/{quote(self.path)}"


def read_sources(table: Path) -> dict[str, Source]:
    """Return the sources table's rows by name; raises as ``read_pinned`` does."""
    return read_pinned(table, Source)


def fault(source: Source, sha256: str, size: int) -> str:
    """Return how a digest and a size differ from a source's pin; empty when they do not."""
    if sha256 == source.sha256:
        return ""
    sizes = "" if size == source.bytes else f" ({size:,} bytes, pinned {source.bytes:,})"
    return f"differs from its pin: SHA-256 {sha256}, pinned {source.sha256}{sizes}"


class SourceFolder:
    """Fetched sources on disk; nothing is read from it unchecked.

    Args:
        table: the sources table.
        folder: where ``fetch`` put the files.
    """

    def __init__(self, table: Path, folder: Path) -> None:
        self.table = table
        self.folder = folder
        self.sources = read_sources(table)

    def source(self, name: str) -> Source:
        """Return the row of a name.

        Raises:
            UserError: the table has no such row.
        """
        return find_source(self.sources, name, self.table)

    def path(self, name: str) -> Path:
        """Return where the file of a name is put."""
        return self.folder / PurePosixPath(self.source(name).name)

    def read(self, name: str) -> bytes:
        """Return a file's bytes, which are the pinned ones.

        Raises:
            UserError: the file was not fetched, or differs from its pin.
        """
        source, path = self.source(name), self.path(name)
        try:
            with path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise UserError(
                f"cannot be read: {error.strerror}",
                where=path,
                mend=f"fetch it: steerability fetch {name}",
            ) from error
        if wrong := fault(source, hashlib.sha256(content).hexdigest(), len(content)):
            raise UserError(
                wrong, where=path, mend=f"delete it and fetch it again: steerability fetch {name}"
            )
        return content

    def text(self, name: str) -> str:
        """Return a file's text, its line ends as they are.

        Raises:
            UserError: as ``read``, or the file is not UTF-8.
        """
        content = self.read(name)
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"not UTF-8 at byte {error.start}", where=self.path(name)) from error


def find_source(sources: Mapping[str, Source], name: str, table: Path) -> Source:
    """Return the source of a name.

    Raises:
        UserError: no such row; names those that begin alike.
    """
    if name not in sources:
        raise UserError(
            f"no outside file is called {name}",
            where=table,
            mend=f"use one of {', '.join(_alike(sources, name))}",
        )
    return sources[name]


def _alike(names: Iterable[str], name: str) -> list[str]:
    names = list(names)
    head = name.split("/")[0]
    return [known for known in names if known.startswith(head)][:8] or names[:8]
