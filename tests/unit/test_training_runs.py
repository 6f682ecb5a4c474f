"""Which published runs a run's trained judge learns from."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from published_logs import MODELS, write_mirror
from steerability.config.load import load_config
from steerability.config.model import Config
from steerability.fetch.sources import read_sources
from steerability.inputs.availability import Training, training
from steerability.support.errors import UserError


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_mirror(tmp_path / "mirror", MODELS[:3])


def config_of(
    mirror: Path | None, *overlays: str, named: Sequence[str] | None = None, **changes: object
) -> Config:
    config = load_config([Path("config.yaml"), *map(Path, overlays)])
    sources = config.sources.model_copy(update={"mirror": str(mirror) if mirror else None})
    changes |= {"sources": sources, "training": tuple(named) if named else None}
    return config.model_copy(update=changes)


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


def test_the_models_that_are_named_are_what_it_learns_from(table: Path) -> None:
    mirror = table.parent
    named = config_of(mirror, named=[MODELS[0], MODELS[2]])
    assert set(learnt(table, named).runs) == {MODELS[0], MODELS[2]}
    for run in (mirror / "results").glob(f"{MODELS[2]}_*"):
        shutil.rmtree(run)
    found = learnt(table, named)
    assert (set(found.runs), found.absent) == ({MODELS[0]}, MODELS[2])
    # where none of them is at hand, it is every one that is
    assert set(learnt(table, config_of(mirror, named=[MODELS[2]])).runs) == set(MODELS[:2])


def test_a_name_that_was_not_published_is_refused(table: Path) -> None:
    with pytest.raises(UserError, match="no published model is called 'pears'"):
        learnt(table, config_of(None, named=["pears"]))


def test_a_replay_learns_from_its_own_models_and_from_those_that_it_does_not_show(
    table: Path,
) -> None:
    models = ("qwen3-4b-base", "qwen3-4b-instruct")
    shown = config_of(None, "config/replay.yaml", named=[MODELS[0], MODELS[2]], models=models)
    found = learnt(table, shown)
    assert (set(found.runs), found.own, found.remark) == ({MODELS[2]}, models[:1], "")


def test_the_tracked_config_names_published_models() -> None:
    named = load_config([Path("config.yaml")]).training
    assert named and set(named) < set(MODELS)


def test_nothing_is_learnt_where_no_judge_is_trained(table: Path) -> None:
    assert learnt(table, config_of(None, "config/demo.yaml")) == Training({}, (), "")
