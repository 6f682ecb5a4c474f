"""Which published runs a run's trained judge learns from."""

import shutil
from pathlib import Path

import pytest

from published_logs import MODELS, write_mirror
from steerability.config.load import load_config
from steerability.config.model import Config
from steerability.errors import UserError
from steerability.fetch.sources import read_sources
from steerability.transcripts.availability import Training, training


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_mirror(tmp_path / "mirror", MODELS[:3])


def config_of(mirror: Path | None, *overlays: str) -> Config:
    config = load_config([Path("config.yaml"), *map(Path, overlays)])
    sources = config.sources.model_copy(update={"mirror": str(mirror) if mirror else None})
    return config.model_copy(update={"sources": sources})


def learnt(table: Path, config: Config) -> Training:
    return training(config, read_sources(table), table)


def test_without_a_mirror_it_is_every_published_run(table: Path) -> None:
    found = learnt(table, config_of(None))
    assert {name: len(runs) for name, runs in found.runs.items()} == dict.fromkeys(MODELS[:3], 3)
    assert found.absent == found.remark == ""


def test_what_the_mirror_lacks_is_named(table: Path) -> None:
    mirror = table.parent
    shutil.rmtree(next((mirror / "results").glob(f"{MODELS[0]}_anti_ic_*")))
    for run in (mirror / "results").glob(f"{MODELS[2]}_*"):
        (run / "config.json").unlink()
    found = learnt(table, config_of(mirror))
    assert {name: len(runs) for name, runs in found.runs.items()} == {MODELS[0]: 2, MODELS[1]: 3}
    assert found.absent == f"{MODELS[0]} (anti), {MODELS[2]}"
    assert "from the 5 published runs" in found.remark and found.absent in found.remark


def test_a_mirror_without_runs_is_refused(table: Path) -> None:
    mirror = table.parent
    shutil.rmtree(mirror / "results")
    with pytest.raises(UserError, match="no published run for the distilled judge"):
        learnt(table, config_of(mirror))


def test_nothing_is_learnt_where_no_judge_is_trained(table: Path) -> None:
    assert learnt(table, config_of(None, "config/demo.yaml")) == Training({}, "")
    assert learnt(table, config_of(None, "config/replay.yaml")) == Training({}, "")
