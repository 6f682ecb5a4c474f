"""Shared fixtures."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from support.fetching import hub, places, said

__all__ = ["ROOT", "Run", "hub", "places", "root", "said", "steerability"]

# nothing is timed: an example that takes long on a busy machine is no fault
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

ROOT = Path(__file__).resolve().parents[1]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture
def steerability(tmp_path: Path) -> Run:
    """Run the command line as a person would and capture what it prints."""

    def run(*words: object, cwd: Path = tmp_path, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "steerability", *map(str, words)],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT / "workflow"), **env},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run
