"""Preflight: every way a host can fail a run has one line, before anything runs."""

import hashlib
from importlib.util import spec_from_file_location
from pathlib import Path

import pytest

from steerability.rules import preflight as room
from steerability.rules.preflight import (
    check_apptainer,
    check_gpu,
    check_image,
    preflight,
    unused_gpu,
)
from steerability.support.errors import UserError
from steerability.support.image import current_image, images_of, made_in, recorded_digest


@pytest.fixture
def image(tmp_path: Path) -> Path:
    image = tmp_path / "engine.sif"
    image.write_bytes(b"an image")
    digest = hashlib.sha256(b"an image").hexdigest()
    (tmp_path / "engine.sif.sha256").write_text(f"{digest}  engine.sif\n")
    return image


def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, says: str) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / name).write_text(f"#!/bin/sh\necho {says}\n")
    (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))


@pytest.mark.parametrize(
    ("name", "says"),
    [("apptainer", "apptainer version 1.4.5-2"), ("singularity", "singularity-ce version 4.1.0")],
)
def test_apptainer_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, says: str
) -> None:
    host(tmp_path, monkeypatch, name, says)
    assert check_apptainer() == says


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("apptainer", "apptainer version 1.1.9"),
        ("singularity", "singularity version 3.8.7"),
        ("apptainer", "no number here"),
    ],
)
def test_apptainer_too_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, says: str
) -> None:
    host(tmp_path, monkeypatch, name, says)
    with pytest.raises(UserError, match="too old"):
        check_apptainer()


def test_no_apptainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="no Apptainer on this host; install it"):
        check_apptainer()


def test_image_is_the_recorded_one(image: Path) -> None:
    assert check_image(image) == recorded_digest(image)


def test_image_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"engine-cuda\.sif: no such image.*make container-cuda"):
        check_image(tmp_path / "engine-cuda.sif")


def test_image_that_snakemake_cannot_take(image: Path) -> None:
    with pytest.raises(UserError, match="no image whose path has a blank; run inside the"):
        check_image(image.rename(image.with_name("my engine.sif")))


def test_image_changed(image: Path) -> None:
    image.write_bytes(b"another image")
    with pytest.raises(UserError, match=r"not the recorded image.*make containers"):
        check_image(image)


def test_image_without_a_record(image: Path) -> None:
    image.with_name("engine.sif.sha256").unlink()
    with pytest.raises(UserError, match="no digest recorded"):
        check_image(image)


def test_store_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="the store cannot be written"):
        preflight(images=[], store=tmp_path / "file" / "store", gpu=False)


def test_gpu(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs an NVIDIA GPU"):
        check_gpu(tmp_path)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "nvidiactl").touch()
    check_gpu(tmp_path)


def test_a_card_that_the_engine_cannot_use_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "llama_cpp" / "lib"
    library.mkdir(parents=True)
    (library.parent / "__init__.py").touch()
    monkeypatch.setattr(
        room,
        "find_spec",
        lambda name: spec_from_file_location(name, library.parent / "__init__.py"),
    )
    assert unused_gpu(tmp_path) == ""
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "nvidiactl").touch()
    assert "make container-cuda" in unused_gpu(tmp_path)
    (library / "libggml-cuda.so").touch()
    assert unused_gpu(tmp_path) == ""


def test_without_images_apptainer_is_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert preflight(images=[], store=tmp_path / "store", gpu=False) == {}


def test_current_image(image: Path) -> None:
    digest = recorded_digest(image)
    assert current_image({}) is None
    assert current_image({"APPTAINER_CONTAINER": str(image)}) == f"engine.sif sha256:{digest}"
    assert current_image({"SINGULARITY_CONTAINER": "/other.sif"}) == "other.sif"


def test_the_logs_of_a_run_tell_which_image_made_each_stage(tmp_path: Path, image: Path) -> None:
    inside = made_in({"APPTAINER_CONTAINER": str(image)})
    logs = {
        "suite.log": inside,
        "generate/a-000.log": inside,
        "generate/a-001.log": made_in({}),
        "old.log": "a log without the line",
    }
    for name, line in logs.items():
        (tmp_path / "logs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "logs" / name).write_text(f"{line}\nmore\n")
    named = f"engine.sif sha256:{recorded_digest(image)}"
    assert images_of(tmp_path / "logs") == {
        "suite": [named],
        "generate": [named, "no image"],
    }
