"""Fetching weights in the tests: a hub on the loopback, places of their own, one small weight."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from steerability.fetch import transfer
from steerability.fetch.pins import WeightPin, write_pins
from steerability.fetch.weights import Places, Weights, obtain
from support.hub import Hub, serve, sha256

BODY = b"GGUF" + os.urandom(300_000)
# more than the client's read block of 10 MiB, so that a killed fetch leaves something
LARGE = b"GGUF" + bytes(range(256)) * 100_000
REPOSITORY = "maker/Tiny-GGUF"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one repository, which the client is pointed to."""
    hub = Hub()
    hub.add(REPOSITORY, {"README.md": b"words", "Tiny.Q8_0.gguf": BODY, "Tiny.Q4_K_M.gguf": b"G4"})
    with serve(hub):
        home = tmp_path / "home"
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        monkeypatch.setenv("HF_HOME", str(home))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(home / "hub"))
        monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(home / "token"))
        monkeypatch.setattr(transfer, "WAIT_SECONDS", 0.01)
        monkeypatch.setattr(transfer, "RESERVE_BYTES", 0)
        yield hub


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """An empty weights folder, and where the tables beside it go."""
    return Places(tmp_path / "weights", [], tmp_path / "weights.csv", tmp_path / "locked.txt")


@pytest.fixture
def said() -> list[str]:
    """Gets the lines that a fetch says."""
    return []


def pin(**changes: object) -> WeightPin:
    """The pin of the small weight, with changes."""
    values = {
        "name": "tiny",
        "source": "hub",
        "repository": REPOSITORY,
        "file": "Tiny.Q8_0.gguf",
        "sha256": sha256(BODY),
        "licence": "MIT",
    }
    return WeightPin.model_validate(values | changes)


def fetch(wanted: WeightPin, places: Places, said: list[str]) -> Weights:
    """Write the table and obtain its weight."""
    write_pins(places.table, [wanted])
    return obtain(wanted, places, said.append)


def command(places: Places, *more: str) -> list[str]:
    """The command line that fetches it."""
    words = [sys.executable, "-m", "steerability", "fetch", "--weights", "tiny"]
    return [
        *words,
        "--weights-dir",
        str(places.folder),
        "--weights-table",
        str(places.table),
        *more,
    ]


def environment(**more: str) -> dict[str, str]:
    """The environment of that command line."""
    return os.environ | {"PYTHONPATH": str(Path("workflow").resolve())} | more
