"""The content-addressed store: objects named by the SHA-256 of their canonical JSON key.

Layout: ``ROOT/sha256/ab/cdef….json``, each the canonical JSON of ``{"key", "value",
"value_sha256"}`` and a newline. Objects never expire; they are written by rename after fsync, so
several processes (and several machines on one file system) may write the same store. An object
that fails its own check, or the check of whoever reads it, is moved to ``ROOT/aside/`` and
reported, and counts as absent; so does a folder or a loop of links in its place.
"""

import errno
import os
import tempfile
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from steerability.support.canonical import canonical_json, digest
from steerability.support.console import note
from steerability.support.documents import parse_json
from steerability.support.errors import UserError
from steerability.support.files import remove_leftovers, write_atomic

Fits = Callable[[Any], object]
_Nothing = object()
_NO_FILE = frozenset({errno.EISDIR, errno.ELOOP})


class Store:
    """A folder of content-addressed JSON objects."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: Mapping[str, Any]) -> Path:
        """Return where the object of a key lies, whether it exists or not."""
        return self.path_of(digest(key))

    def path_of(self, name: str) -> Path:
        """Return where the object of a name (64 hex digits) lies."""
        return self.root / "sha256" / name[:2] / f"{name[2:]}.json"

    def check_writable(self) -> None:
        """Find out before any work is done whether objects can be written.

        What killed writers left half-written more than a day ago is removed.

        Raises:
            UserError: the folder cannot be made or written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.root, prefix=".writable-"):
                pass
        except OSError as error:
            raise UserError(
                f"the store cannot be written: {error.strerror or error}",
                where=self.root,
                mend="make it writable or name another folder (config: store)",
            ) from error
        remove_leftovers((self.root / "sha256").glob("??"))
        remove_leftovers([self.root], ".writable-*")

    def holds_objects(self) -> bool:
        """Say whether there is any object to read."""
        return any((self.root / "sha256").glob("??/*.json"))

    def get(self, key: Mapping[str, Any], fits: Fits | None = None) -> Any | None:
        """Return the value stored under a key, or None.

        An object that is cut, altered, filed under a wrong name or of the wrong form is moved
        aside with a line on stderr, and None is returned, so that the caller makes it again.
        Another process may do the same at the same time.

        Args:
            key: of the object.
            fits: reads the value as its user will; a ``ValueError`` (a pydantic error is one),
                ``KeyError`` or ``TypeError`` says that it does not fit.

        Raises:
            UserError: something lies in the object's place that can be neither read nor moved.
        """
        path = self.path(key)
        value = self._read(path, key, fits)
        if value is _Nothing:
            # another process may have moved it aside and made it again in the meantime
            value = self._read(path, key, fits)
        return self._set_aside(path, key, fits) if value is _Nothing else value

    def put(self, key: Mapping[str, Any], value: Any) -> str:
        """Store a value under a key and return the object's name.

        Raises:
            OSError: no room or no permission; no half object stays.
            ValueError: key or value has no canonical JSON form.
        """
        content = canonical_json({"key": dict(key), "value": value, "value_sha256": digest(value)})
        name = digest(key)
        path = self.path_of(name)
        try:
            write_atomic(path, content + b"\n", follow=False)
        except IsADirectoryError:
            self._move(path)
            write_atomic(path, content + b"\n", follow=False)
        return name

    def _read(self, path: Path, key: Mapping[str, Any], fits: Fits | None) -> Any:
        """Return the value of an object, None where there is none, ``_Nothing`` where it is bad."""
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in _NO_FILE:
                return _Nothing
            raise UserError(
                f"an object of the store cannot be read: {error.strerror}",
                where=path,
                mend="make it readable, or move it away and it is made again",
            ) from error
        try:
            stored = parse_json(content, path)
            value = stored["value"]
            sound = digest(stored["key"]) == digest(key) and digest(value) == stored["value_sha256"]
            if sound and fits is not None:
                fits(value)
        except (UserError, ValueError, KeyError, TypeError, RecursionError):
            return _Nothing
        # None is what says that there is no object
        return value if sound and value is not None else _Nothing

    def _set_aside(self, path: Path, key: Mapping[str, Any], fits: Fits | None) -> Any | None:
        """Move a bad object aside; a sound one that came in its place meanwhile is put back."""
        target = self._move(path)
        if target is None:
            return None
        value = self._read(target, key, fits)
        if value is not _Nothing and value is not None:
            target.replace(path)
            return value
        note(f"store: object {path.parent.name}{path.stem} failed its check, moved to {target}")
        return None

    def _move(self, path: Path) -> Path | None:
        """Move what lies in an object's place aside; None where another process has done so."""
        name = f"{path.parent.name}{path.stem}.{os.getpid()}-{uuid.uuid4().hex[:8]}.json"
        target = self.root / "aside" / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UserError(
                f"a damaged object cannot be moved aside: {error.strerror}",
                where=path,
                mend="make the store writable or remove the object",
            ) from error
        return target
