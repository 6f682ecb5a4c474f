"""Apptainer and the CPU images, brought here where they are missing: minutes, once."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT
from support.small_run import Place

IMAGES = ROOT / "containers" / "images"
Outside = Callable[..., dict[str, Any]]


def skip_without_root(what: str, *, there: bool = False) -> None:
    """Skip a test that would install or start something as root; CI must never do without.

    Args:
        what: what needs root.
        there: it does not, since it is done already.
    """
    if os.geteuid() != 0 and not there and not os.environ.get("CI"):
        pytest.skip(f"{what} needs root")


@pytest.fixture(scope="session")
def images() -> Path:
    """The folder of the engine and analysis images."""
    skip_without_root(
        "installing Apptainer (containers/install-apptainer.sh)",
        there=shutil.which("apptainer") is not None,
    )
    subprocess.run([ROOT / "containers" / "install-apptainer.sh"], check=True)
    for name in ("engine", "analysis"):
        subprocess.run(
            [ROOT / "containers" / "build.sh", name],
            check=True,
            timeout=1800,
        )
    return IMAGES


@pytest.fixture(scope="session")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Outside:
    """The manifest of the small run made outside containers, by what its config changes."""
    made: dict[str, dict[str, Any]] = {}

    def run(**changes: Any) -> dict[str, Any]:
        name = repr(sorted(changes.items()))
        if name not in made:
            place = Place(tmp_path_factory.mktemp("outside") / "run").create(**changes)
            result = place.snakemake()
            assert result.returncode == 0, result.stdout + result.stderr
            made[name] = place.manifest()
        return made[name]

    return run
