"""A small file system of its own: one that is full, that is read-only, that no hard link leaves."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(disk: Path, options: str) -> Iterator[Path]:
    """Mount a file system in memory, which only root may; CI must never do without.

    Args:
        disk: the folder to make and mount it on.
        options: of ``mount``.
    """
    if os.geteuid() != 0 and not os.environ.get("CI"):
        pytest.skip("mounting a file system needs root")
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(disk)], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)
