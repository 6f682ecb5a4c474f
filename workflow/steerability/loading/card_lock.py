"""One job per graphics card: a process claims a card before llama.cpp looks for any.

Snakemake counts cards (``resources: gpu``) but names none, so jobs that run side by side would all
take the first. A claim is a lock on a file beside the store, one per machine and card; it ends with
the process, however that ends.
"""

import fcntl
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from steerability.support.console import note

VARIABLE = "CUDA_VISIBLE_DEVICES"
_held: list[IO[str]] = []


def cards() -> list[str]:
    """Return the cards this process may use, as ``CUDA_VISIBLE_DEVICES`` names them.

    What the variable says already (a scheduler sets it) counts; else all that ``nvidia-smi``
    lists; none where there is neither.
    """
    named = os.environ.get(VARIABLE)
    if named is not None:
        return [card for card in named.split(",") if card.strip()]
    command = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.split() if done.returncode == 0 else []


def claim(folder: Path, sleep: Callable[[float], None] = time.sleep) -> str | None:
    """Claim one of several cards for this process and let it see no other; wait for a free one.

    Call it before llama.cpp is loaded.

    Args:
        folder: where the locks are: one that all jobs of the machine see.
        sleep: waits so many seconds.

    Returns:
        The card; None where there are fewer than two and nothing is to be chosen.
    """
    choice = cards()
    if len(choice) < 2:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    waiting = False
    while True:
        for card in choice:
            file = (folder / f"{os.uname().nodename}-{card}.lock").open("a", encoding="utf-8")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                continue
            _held.append(file)
            os.environ[VARIABLE] = card
            return card
        if not waiting:
            note(f"all {len(choice)} graphics cards are taken by other jobs, waiting for one")
            waiting = True
        sleep(2.0)
