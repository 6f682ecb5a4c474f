"""The whole paper run with six tiny models, fetched from a hub on the loopback.

``config.yaml`` as it stands, its judges too: the overlay lowers the token limits and the number of
resamples, and names a mirror and a weights table without digests. The primary judge learns from
the published outputs that the mirror holds; where there is none, from texts of our own in its form,
of which, as in the mirror, two models' are missing.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from mirror import MIRROR
from published_logs import MODELS, write_mirror
from steerability.config.load import load_config
from steerability.fetch.pins import read_pins
from steerability.protocol.records import LABELS
from support.hub import Hub, serve
from support.paper import Paper, paper, tiny_models

pytestmark = pytest.mark.heavy

CELL = ("model", "intervention", "scenario")


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with serve(Hub()) as hub:
        yield hub


def own_mirror(folder: Path) -> dict[str, str]:
    """Write a mirror that lacks the runs of two models its table lists."""
    table = write_mirror(folder / "mirror")
    for model in (MODELS[1], MODELS[3]):
        for run in (folder / "mirror" / "results").glob(f"{model}_*"):
            shutil.rmtree(run)
    suffixes = str(folder / "mirror" / "suffixes.csv")
    return {"mirror": str(folder / "mirror"), "index": str(table), "suffixes": suffixes}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, hub: Hub) -> Paper:
    folder = tmp_path_factory.mktemp("paper")
    has_mirror = (MIRROR / "benchmark").is_dir()
    sources = {"mirror": str(MIRROR)} if has_mirror else own_mirror(folder)
    weights = tiny_models(folder, hub).values()
    return paper(folder, weights, sources, analysis={"resamples": 200})


def snakemake(root: Path, place: Paper, hub: Hub, *targets: str) -> str:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(root / "Snakefile")]
    command += ["--cores", "2", "--configfile", str(root / "config.yaml"), str(place.overlay)]
    command += ["--", *targets]
    environment = os.environ | {"HF_ENDPOINT": hub.address, "HF_HOME": str(place.folder / "home")}
    done = subprocess.run(
        command,
        cwd=place.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def published_at_hand(place: Paper) -> set[str]:
    """The models whose published runs the mirror holds."""
    mirror = Path(yaml.safe_load(place.overlay.read_text(encoding="utf-8"))["sources"]["mirror"])
    return {path.name.partition("_")[0] for path in (mirror / "results").iterdir()}


def published_to_learn_from(root: Path) -> set[str]:
    """The published models that config.yaml's judge learns from; all where it names none."""
    return set(load_config([root / "config.yaml"]).training or MODELS)


@pytest.mark.timeout(1500)
def test_six_models_from_the_hub_to_table_1(root: Path, place: Paper, hub: Hub) -> None:
    started = time.monotonic()
    said = snakemake(root, place, hub)
    print(f"the paper run took {time.monotonic() - started:.0f} s")
    table = place.rows("table1.csv")
    assert [(row["size"], row["stage"]) for row in table] == [
        (size, stage) for size in ("4B", "30B") for stage in ("Base", "Instruct", "Thinking")
    ]
    assert {row[f"{name}_n"] for row in table for name in ("pro", "anti")} == {"71"}
    assert {row["judge"] for row in table} == {"distilled"}
    cells = place.rows("cells.csv")
    # config.yaml's judges: the trained one, and the 30B Instruct checkpoint as the hub has it
    for judge in ("distilled", "llm-qwen3-30b"):
        labelled = [row for row in cells if row["judge"] == judge]
        assert len(labelled) == len(
            {(r["model"], r["intervention"], r["scenario"]) for r in labelled}
        )
        assert len(labelled) == 1278
    assert len(cells) == 2 * 1278
    assert {row["label"] for row in cells} <= {*LABELS}
    assert {row["finish_reason"] for row in cells} == {"stop"}
    assert {row["thinking_cut"] for row in cells} == {"false"}
    learnt = json.loads((place.run / "distilled" / "distilled.json").read_bytes())
    held, named = published_at_hand(place), published_to_learn_from(root)
    assert learnt["cells"] == 213 * len(learnt["models"])
    assert set(learnt["models"]) == held & named
    # and both the start and the table say what it could not learn from
    text = (place.run / "table1.md").read_text(encoding="utf-8")
    words = r"learnt from the \d+ published runs that the mirror holds; not there: ([^.]+)\."
    for told in (re.search(words, text), re.search(words, said)):
        assert set(told[1].split(", ") if told else ()) == named - held
    # every weight was fetched once, checked, and locked into the table
    assert len(hub.gets()) == 6
    for pin in read_pins(place.table).values():
        assert pin.revision == hub.commit(pin.repository)
        assert (place.folder / "results" / "weights" / f"{pin.sha256}.gguf").is_file()
    # the digests that were learned name the weights in the keys already: no cell is made again
    said = snakemake(root, place, hub, "results/paper/cells.csv")
    assert len(hub.gets()) == 6
    made = [line for line in said.splitlines() if line.startswith("generate: ")]
    assert len(made) == 6
    assert all("213 found in the store, 0 made" in line for line in made), made
    # and then nothing is left to do
    assert "generate: " not in snakemake(root, place, hub, "results/paper/cells.csv")
