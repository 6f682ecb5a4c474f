"""The stages in their images: the same bytes as outside, and nothing of the host to be seen."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import ROOT
from steerability.fetch.package import installed_file
from steerability.fetch.pins import read_pins
from steerability.rules.preflight import GPU_DEVICES
from support.disk import mounted
from support.small_run import Place, made

from .conftest import Outside

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(2400)]

LOOK = """
import json, os, pathlib, socket, sys
try:
    socket.create_connection(("192.0.2.1", 80), timeout=2)
    reached = "something"
except OSError as error:
    reached = type(error).__name__
print(json.dumps({
    "interfaces": [
        path.parent.name
        for path in pathlib.Path("/sys/class/net").glob("*/operstate")
        if path.read_text().strip() == "up"
    ],
    "reached": reached,
    "secret": os.environ.get("SECRET"),
    "home": os.environ["HOME"],
    "repository": os.path.exists(sys.argv[1]),
    "here": pathlib.Path("here").read_text(),
}))
"""


@pytest.fixture(scope="module")
def inside(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("inside") / "run").create()
    result = place.snakemake("--use-apptainer")
    assert result.returncode == 0, result.stdout + result.stderr
    return place


def test_the_digest_is_the_one_made_outside(inside: Place, outside: Outside) -> None:
    here, there = inside.manifest(), outside()
    assert here["files"] == there["files"]
    assert here["stages"] == there["stages"]
    assert here["digest"] == there["digest"]


def test_the_manifest_names_the_image_of_every_stage(inside: Place, images: Path) -> None:
    made_by = inside.manifest()["facts"]["images"]
    named = {
        name: f"{name}.sif sha256:{(images / f'{name}.sif.sha256').read_text().split()[0]}"
        for name in ("engine", "analysis")
    }
    assert made_by.pop("generate") == [named["engine"]]
    assert {"plan", "judge", "score", "table", "figures", "publish"} <= made_by.keys()
    assert all(images == [named["analysis"]] for images in made_by.values())


def test_a_second_run_from_nothing_but_the_store_is_the_same(inside: Place) -> None:
    before = inside.manifest()["digest"]
    shutil.rmtree(inside.run)
    shutil.rmtree(inside.folder / ".snakemake")
    result = inside.snakemake("--use-apptainer")
    assert result.returncode == 0, result.stdout + result.stderr
    assert made(result, "generate") == 0
    assert inside.manifest()["digest"] == before


def test_a_container_has_the_working_folder_and_nothing_else(images: Path, tmp_path: Path) -> None:
    profile = yaml.safe_load((ROOT / "workflow/profiles/default/config.yaml").read_text())
    (tmp_path / "here").write_text("the repository")
    command = ["apptainer", "exec", "--home", str(tmp_path), *profile["apptainer-args"].split()]
    done = subprocess.run(
        [*command, images / "engine.sif", "python", "-c", LOOK, str(ROOT)],
        cwd=tmp_path,
        env={**os.environ, "SECRET": "a token"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {
        "interfaces": [],
        "reached": "OSError",
        "secret": None,
        "home": str(tmp_path),
        "repository": False,
        "here": "the repository",
    }


def test_weights_store_and_suite_may_lie_elsewhere(
    images: Path, outside: Outside, tmp_path: Path
) -> None:
    place = Place(tmp_path / "run").create(
        store=str(tmp_path / "store"), weights_dir=str(tmp_path / "weights")
    )
    (tmp_path / "suites").mkdir()
    (place.folder / "suite.yaml").rename(tmp_path / "suites" / "suite.yaml")
    overlay = (place.folder / "overlay.yaml").read_text()
    moved = overlay.replace(f"{place.folder}/suite.yaml", f"{tmp_path}/suites/suite.yaml")
    (place.folder / "overlay.yaml").write_text(moved)
    result = place.snakemake("--use-apptainer")
    assert result.returncode == 0, result.stdout + result.stderr
    assert list((tmp_path / "store").glob("sha256/*/*.json"))
    assert place.manifest()["digest"] == outside()["digest"]


def users_line(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 2, result.stdout + result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("steerability: ")]
    assert len(lines) == 1 and "Traceback" not in result.stderr, result.stderr
    return lines[0]


def test_no_apptainer(tmp_path: Path) -> None:
    place = Place(tmp_path / "run").create()
    for tool in ("which", "bash", "sh"):
        (tmp_path / tool).symlink_to(f"/usr/bin/{tool}")
    line = users_line(place.snakemake("--use-apptainer", PATH=str(tmp_path)))
    assert "no Apptainer on this host; install it: containers/install-apptainer.sh" in line


def test_apptainer_too_old(tmp_path: Path) -> None:
    place = Place(tmp_path / "run").create()
    (tmp_path / "apptainer").write_text("#!/bin/sh\necho apptainer version 1.0.1\n")
    (tmp_path / "apptainer").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    assert "too old: apptainer version 1.0.1" in users_line(
        place.snakemake("--use-apptainer", PATH=path)
    )


@pytest.fixture
def elsewhere(tmp_path: Path) -> Place:
    """A run from a copy of the repository that has no images."""
    skip = shutil.ignore_patterns(
        ".git", ".venv", ".wheels", ".snakemake", "images", "results", "tests", ".*_cache"
    )
    shutil.copytree(ROOT, tmp_path / "repository", ignore=skip)
    return Place(tmp_path / "run", root=tmp_path / "repository").create()


def test_image_missing(elsewhere: Place, images: Path) -> None:
    line = users_line(elsewhere.snakemake("--use-apptainer"))
    assert "analysis.sif: no such image; build it: make containers" in line


def test_image_is_not_the_recorded_one(elsewhere: Place, images: Path) -> None:
    folder = elsewhere.root / "containers" / "images"
    folder.mkdir()
    for name in ("analysis", "engine"):
        (folder / f"{name}.sif").write_text("another")
        shutil.copy(images / f"{name}.sif.sha256", folder)
    line = users_line(elsewhere.snakemake("--use-apptainer"))
    assert "analysis.sif: not the recorded image: SHA-256" in line


def test_a_repository_below_a_folder_with_a_blank(
    images: Path, outside: Outside, elsewhere: Place, tmp_path: Path
) -> None:
    """Inside it Snakemake sees no blank in the images' paths; from elsewhere it would take none."""
    root = elsewhere.root.rename(tmp_path / "a repository")
    (root / "containers" / "images").symlink_to(images)
    place = Place(root / "run", root=root).create()
    result = place.snakemake("--use-apptainer")
    assert result.returncode == 0, result.stdout + result.stderr
    assert place.manifest()["digest"] == outside()["digest"]
    line = users_line(Place(elsewhere.folder, root=root).snakemake("--use-apptainer"))
    assert "Snakemake takes no image whose path has a blank" in line


def test_weights_may_be_taken_from_another_disk(
    images: Path, outside: Outside, tmp_path: Path
) -> None:
    """No hard link leads there, and the first run already follows the link that it makes."""
    pin = read_pins(ROOT / "config" / "weights.csv")["smollm2-135m-instruct-q4_1"]
    source = installed_file(pin)
    assert source is not None
    with mounted(tmp_path / "disk", "size=256m") as disk:
        shutil.copy(source, disk / f"{pin.sha256}.gguf")
        place = Place(tmp_path / "run").create(weights_search=[str(disk)])
        result = place.snakemake("--use-apptainer")
        assert result.returncode == 0, result.stdout + result.stderr
        kept = place.folder / "results" / "weights" / f"{pin.sha256}.gguf"
        assert kept.readlink() == disk / kept.name
    assert place.manifest()["digest"] == outside()["digest"]


@pytest.mark.parametrize("words", [(), ("--use-apptainer",)])
def test_store_that_cannot_be_written(images: Path, tmp_path: Path, words: Any) -> None:
    place = Place(tmp_path / "run").create(store="/proc/store")
    assert "/proc/store: the store cannot be written" in users_line(place.snakemake(*words))


@pytest.mark.skipif(
    any(Path("/", device).exists() for device in GPU_DEVICES),
    reason="this host has an NVIDIA GPU",
)
@pytest.mark.parametrize("words", [(), ("--use-apptainer",)])
def test_gpu_profile_on_a_host_without_a_gpu(images: Path, tmp_path: Path, words: Any) -> None:
    place = Place(tmp_path / "run").create()
    profile = str(ROOT / "workflow" / "profiles" / "gpu")
    result = place.snakemake(*words, "--workflow-profile", profile)
    assert "the gpu profile needs an NVIDIA GPU" in users_line(result)
