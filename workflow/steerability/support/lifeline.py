"""A job ends when the run that started it does, however that ended.

Between Snakemake and a job stand a shell and, in a container, Apptainer with process ids of its
own: neither passes on that Snakemake was killed. So the run holds a lock on a file, which the
system takes from it when it ends, and every job waits for that lock in a thread of its own.
"""

import contextlib
import fcntl
import os
import threading
import uuid
from pathlib import Path
from typing import IO

from steerability.support.console import note

VARIABLE = "STEERABILITY_LIFELINE"
_SUFFIX = ".alive"
_held: list[IO[bytes]] = []


def hold(folder: Path) -> Path | None:
    """Hold a lock for as long as this process lives.

    Files of runs that are over are removed.

    Args:
        folder: where the file lies: one that the jobs see; made if need be.

    Returns:
        The file, to be given to jobs as the variable ``STEERABILITY_LIFELINE``; None where there
        can be none.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob(f"*{_SUFFIX}"):
            with contextlib.suppress(OSError), old.open("ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                old.unlink()
        # locked before it has its name: a run that starts beside this one takes it for no old one
        path = folder / f"{uuid.uuid4().hex}{_SUFFIX}"
        part = path.with_suffix(".new")
        file = part.open("ab")
        fcntl.flock(file, fcntl.LOCK_EX)
        part.rename(path)
    except OSError:
        return None
    _held.append(file)
    return path


def end_with_the_run() -> None:
    """End this process when the run that ``STEERABILITY_LIFELINE`` names has ended.

    What is in the store is whole at any moment, so nothing is lost but what was under way.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        return
    try:
        file = Path(named).open("rb")  # noqa: SIM115
    except OSError:
        return
    threading.Thread(target=_wait, args=(file,), daemon=True).start()


def _wait(file: IO[bytes]) -> None:
    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_SH)
        note("steerability: the run that started this has ended, so this ends too")
        os._exit(1)
