"""The content-addressed store: objects named by the SHA-256 of their canonical JSON key.

Layout: ``ROOT/sha256/ab/cdef….json``, each the canonical JSON of ``{"key", "value",
"value_sha256"}`` and a newline. Objects never expire; they are written by rename after fsync, so
several processes (and several machines on one file system) may write the same store. An object
that fails its own check is moved to ``ROOT/aside/`` and reported, and counts as absent.
"""

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steerability.support.canonical import canonical_json, digest
from steerability.support.errors import UserError
from steerability.support.files import write_atomic


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

    def get(self, key: Mapping[str, Any]) -> Any | None:
        """Return the value stored under a key, or None.

        An object that is cut, altered or filed under a wrong name is moved aside with a line on
        stderr, and None is returned, so that the caller makes it again.
        """
        path = self.path(key)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            stored = json.loads(content)
            sound = (
                digest(stored["key"]) == digest(key)
                and digest(stored["value"]) == stored["value_sha256"]
            )
        except (ValueError, KeyError, TypeError):
            sound = False
        if not sound:
            self._set_aside(path)
            return None
        return stored["value"]

    def put(self, key: Mapping[str, Any], value: Any) -> str:
        """Store a value under a key and return the object's name.

        Raises:
            OSError: no room or no permission; no half object stays.
            ValueError: key or value has no canonical JSON form.
        """
        content = canonical_json({"key": dict(key), "value": value, "value_sha256": digest(value)})
        name = digest(key)
        write_atomic(self.path_of(name), content + b"\n")
        return name

    def _set_aside(self, path: Path) -> None:
        name = f"{path.parent.name}{path.stem}"
        target = self.root / "aside" / f"{name}.{os.getpid()}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
        print(f"store: object {name} failed its check, moved to {target}", file=sys.stderr)
