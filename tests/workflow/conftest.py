"""The small run, made once and copied per test."""

import shutil
from pathlib import Path

import pytest

from support.small_run import Place, copy, made, rules_run

__all__ = ["Place", "made", "rules_run"]


@pytest.fixture(scope="session")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, Path]:
    """The small run, made once, and a copy of its folder to restore it from."""
    folder = tmp_path_factory.mktemp("small")
    place = Place(folder / "run").create()
    result = place.snakemake()
    assert result.returncode == 0, result.stdout + result.stderr
    assert made(result, "generate") == 12
    copy(place.folder, folder / "snapshot")
    return place, folder / "snapshot"


@pytest.fixture
def place(snapshot: tuple[Place, Path]) -> Place:
    """The finished small run, as it was when it was made."""
    small, saved = snapshot
    shutil.rmtree(small.folder)
    copy(saved, small.folder)
    return small
