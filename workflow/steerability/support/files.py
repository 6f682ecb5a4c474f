"""Files: read as text or refused in one line, and written so that nobody sees half of one."""

import contextlib
import errno
import os
import time
import uuid
from collections.abc import Iterable
from pathlib import Path

from steerability.support.errors import UserError

LEFTOVER_SECONDS = 86_400.0
"""A temporary file of this age has no writer any more: one is written within seconds."""
_MARK = "\ufeff"


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file that the user named, without a byte order mark.

    Raises:
        UserError: it cannot be read, or is not UTF-8.
    """
    return decode_text(read_bytes(path), path)


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a file that the user named.

    Raises:
        UserError: it is missing, a folder, a loop of links, or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=path) from error


def decode_text(content: bytes, where: object) -> str:
    """Return UTF-8 bytes as text, without a byte order mark and with newlines as line ends.

    Args:
        content: of a file.
        where: what the message calls it.

    Raises:
        UserError: it is not UTF-8.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError("not UTF-8", where=where, mend="save the file as UTF-8") from error
    return text.removeprefix(_MARK).replace("\r\n", "\n").replace("\r", "\n")


def write_atomic(path: Path, content: bytes, *, follow: bool = True) -> None:
    """Write ``content`` to ``path`` by rename after fsync; parents are made.

    The file's mode is what the umask says. Where ``path`` is a link, the file that it leads to is
    written and the link stays; a device, pipe or socket is written to and never replaced.

    Args:
        path: the file to create or replace.
        content: its bytes.
        follow: as said of links and devices; without it whatever lies there is replaced.

    Raises:
        OSError: the disk is full, the folder cannot be written, or a folder lies there; names the
            path. Nothing half-written stays.
    """
    try:
        if follow:
            path = _target(path)
            if path.exists() and not (path.is_file() or path.is_dir()):
                _write_to_device(path, content)
                return
        _replace(path, content)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error


def remove_leftovers(folders: Iterable[Path], pattern: str = ".*.tmp") -> None:
    """Remove the temporary files of writers that were killed; those of living ones are younger.

    Args:
        folders: where to look, not below; what cannot be removed stays.
        pattern: of their names.
    """
    youngest = time.time() - LEFTOVER_SECONDS
    for folder in folders:
        with contextlib.suppress(OSError):
            for path in folder.glob(pattern):
                with contextlib.suppress(OSError):
                    if path.lstat().st_mtime < youngest:
                        path.unlink()


def _target(path: Path) -> Path:
    """Return where a link leads, the path itself where there is none."""
    if not path.is_symlink():
        return path
    try:
        return path.resolve()
    except RuntimeError as error:  # what Python 3.11 calls a loop of links
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from error


def _write_to_device(path: Path, content: bytes) -> None:
    with path.open("wb", buffering=0) as file:
        view = memoryview(content)
        while view:
            view = view[file.write(view) :]


def _replace(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from error
    # the kernel applies the umask to a file that is made with this mode
    part = path.with_name(f".{path.name[:32]}.{uuid.uuid4().hex[:12]}.tmp")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
