"""Files: read as text or refused in one line, and written so that nobody sees half of one."""

import os
import tempfile
from pathlib import Path

from steerability.support.errors import UserError


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file that the user named.

    Raises:
        UserError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=path) from error
    except UnicodeDecodeError as error:
        raise UserError("not UTF-8", where=path, mend="save the file as UTF-8") from error


def write_atomic(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` by rename after fsync; parents are made.

    Args:
        path: the file to create or replace.
        content: its bytes.

    Raises:
        OSError: the disk is full or the folder cannot be written; nothing half-written stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:32]}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
