"""The paper's six models as tiny ones behind a loopback hub, and an overlay that uses them."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from steerability.config.catalogue import GgufModel
from steerability.config.load import load_config
from steerability.fetch.pins import read_pins, write_pins
from support import tiny_qwen
from support.hub import Hub

ROOT = Path(__file__).resolve().parents[2]
STAGES: dict[str, tiny_qwen.Stage] = {s: s for s in ("Base", "Instruct", "Thinking")}


@dataclass(frozen=True)
class Paper:
    """Where a run of the paper's config with tiny models happens."""

    folder: Path
    overlay: Path
    table: Path

    @property
    def run(self) -> Path:
        return self.folder / "results" / "paper"

    def rows(self, name: str) -> list[dict[str, str]]:
        with (self.run / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


# The real vocabulary is slow to run at this size: one dense and one mixture of experts have it.
REAL_VOCABULARY = ("qwen3-4b-base", "qwen3-30b-a3b-thinking")
SOME_MERGES = 20_000


def tiny_models(folder: Path, hub: Hub) -> dict[str, str]:
    """Make a tiny model for each model of the paper's config and put it on the hub.

    It lies under the very repository and file name that ``config/weights.csv`` pins; its digest
    is another, so the rows given to the run have none.

    Returns:
        Weights name by model name.
    """
    config = load_config([ROOT / "config.yaml"])
    pins = read_pins(ROOT / "config" / "weights.csv")
    weights = {}
    for number, name in enumerate(config.models):
        entry = config.catalogue.models[name]
        assert isinstance(entry, GgufModel)
        pin = pins[entry.weights]
        path = tiny_qwen.make(
            folder / pin.file,
            architecture="qwen3moe" if entry.size == "30B" else "qwen3",
            stage=STAGES[entry.stage],
            merges=None if name in REAL_VOCABULARY else SOME_MERGES,
            seed=number,
        )
        hub.add(pin.repository, {pin.file: path.read_bytes()})
        path.unlink()
        weights[name] = entry.weights
    return weights


def paper(folder: Path, weights: Iterable[str], sources: dict[str, str], **more: object) -> Paper:
    """Write the weights table and the overlay of a run in a folder of its own.

    Args:
        folder: gets everything.
        weights: names of the weights table.
        sources: entries of the config's ``sources`` besides the tables.
        more: further entries of the config.
    """
    table = folder / "weights.csv"
    pins = read_pins(ROOT / "config" / "weights.csv")
    blank = {"sha256": None, "revision": None, "bytes": None}
    write_pins(table, [pins[name].model_copy(update=blank) for name in weights])
    overlay = folder / "overlay.yaml"
    content: dict[str, object] = {
        "results": "results",
        "store": "results/store",
        "weights_dir": "results/weights",
        "max_tokens": 32,
        "sources": {"folder": "results/sources", "weights": str(table), **sources},
    }
    overlay.write_text(yaml.safe_dump(content | more), encoding="utf-8")
    return Paper(folder, overlay, table)
