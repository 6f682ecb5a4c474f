"""Table 1 from published transcripts, through the workflow: all 18 runs, made by the tests."""

import csv
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import yaml

from conftest import Run
from mirror import MIRROR, NEEDS_MIRROR
from published_logs import MODELS, plain_replies, write_mirror
from steerability.fetch.sources import read_sources
from support.files import Files, serve_files

RULE = re.compile(r"(localrule|rule|checkpoint) \w+:")
MODES = {"pro": "pro_ic", "none": "baseline", "anti": "anti_ic"}
COUNTED = ("n", "valid", "converged", "refused")


def catalogue_name(published: str) -> str:
    return published.lower().removesuffix("-2507")


def counts(published: str, condition: str) -> dict[str, int]:
    labels = [reply.label for reply in plain_replies(published, MODES[condition])]
    return {
        "n": len(labels),
        "valid": len(labels) - labels.count("nonsensical"),
        "converged": labels.count("convergence"),
        "refused": labels.count("safety_refusal"),
    }


def rate(number: dict[str, int]) -> float:
    return round(100 * number["converged"] / number["valid"], 2)


class Workplace:
    """A copy of the repository's workflow with a mirror of our own beside it."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.folder = folder
        for name in ("workflow", "config"):
            shutil.copytree(
                root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        for name in ("Snakefile", "config.yaml"):
            shutil.copy2(root / name, folder / name)
        (folder / "results").mkdir()
        self.mirror = folder / "mirror"

    def use_own_mirror(self) -> None:
        """Make a mirror with all 18 runs and let the config know its tables."""
        table = write_mirror(self.mirror)
        published = self.folder / "published.csv"
        with published.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            columns = [f"{c}_{name}" for c in MODES for name in COUNTED]
            further = ["pro_convergence", "anti_convergence", "delta"]
            writer.writerow(["model", "size", "stage", *columns, *further])
            for model in MODELS:
                numbers = [counts(model, c)[name] for c in MODES for name in COUNTED]
                pro, anti = (rate(counts(model, c)) for c in ("pro", "anti"))
                rates = [f"{pro:.2f}", f"{anti:.2f}", f"{pro - anti:.2f}"]
                writer.writerow([catalogue_name(model), "", "", *numbers, *rates])
        self.sources = {
            "index": str(table.relative_to(self.folder)),
            "suffixes": "mirror/suffixes.csv",
            "published": "published.csv",
            "mirror": "mirror",
        }

    def run(
        self, *words: str, options: Sequence[str] = (), **config: object
    ) -> subprocess.CompletedProcess[str]:
        overlay = {
            "judges": ["published", "rules"],
            "sources": self.sources,
            # intervals are not what is tested here
            "analysis": {"resamples": 100},
            **config,
        }
        (self.folder / "overlay.yaml").write_text(yaml.safe_dump(overlay), encoding="utf-8")
        command = [sys.executable, "-m", "snakemake", "--cores", "2"]
        command += ["--configfile", "config/replay.yaml", "overlay.yaml", *options, "--", *words]
        return subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, timeout=500, check=False
        )

    def table(self) -> dict[str, dict[str, str]]:
        path = self.folder / "results" / "replay" / "table1.csv"
        with path.open(encoding="utf-8", newline="") as file:
            return {row["model"]: row for row in csv.DictReader(file)}


@pytest.fixture
def workplace(root: Path, tmp_path: Path) -> Iterator[Workplace]:
    place = Workplace(root, tmp_path)
    place.use_own_mirror()
    yield place


def held_out_scenarios(place: Workplace) -> int:
    """Return how many of the run's scenarios no cue was written from, odd first byte."""
    suite = json.loads(
        (place.folder / "results/replay/suites/instrumentaleval.json").read_text(encoding="utf-8")
    )
    names = [scenario["id"] for scenario in suite["scenarios"]]
    return sum(hashlib.sha256(name.encode()).digest()[0] % 2 == 1 for name in names)


def said(done: subprocess.CompletedProcess[str], verb: str) -> list[str]:
    """Return the closing lines of a verb."""
    lines = (done.stdout + done.stderr).splitlines()
    return [line for line in lines if line.startswith(f"{verb}: ") and "cells wanted" in line]


TABLE = "results/replay/comparison.csv"
AGREEMENT = "results/replay/agreement.csv"
TRAINED_ON = [MODELS[0], MODELS[3]]
JUDGES = {
    "judges": ["published", "distilled", "rules"],
    # two models instead of four: quicker
    "training": TRAINED_ON,
}


def jobs(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """Return how often each rule ran."""
    lines = (done.stdout + done.stderr).splitlines()
    return Counter(line.split()[1].rstrip(":") for line in lines if RULE.match(line))


def agreement(place: Workplace) -> dict[tuple[str, str], int]:
    """Return the cells behind each judge and evaluation of agreement.csv."""
    with (place.folder / AGREEMENT).open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["condition"] == "all"]
    return {(row["judge"], row["evaluation"]): int(row["n"]) for row in rows}


def test_all_six_models_from_a_mirror_that_grows(workplace: Workplace, steerability: Run) -> None:
    folder = workplace.mirror / "results" / f"{MODELS[1]}_baseline_max_15_20260103_115047"
    away = workplace.folder / "away"
    folder.rename(away)

    done = workplace.run(TABLE, AGREEMENT, **JUDGES)
    assert done.returncode == 0, done.stderr
    assert list(workplace.table()) == [catalogue_name(model) for model in MODELS]
    lacking = "Not in the mirror, so not in this table: qwen3-4b-instruct (none)."
    caption = (workplace.folder / "results/replay/table1.md").read_text(encoding="utf-8")
    assert lacking in caption
    assert sum("213 made" in line for line in said(done, "transcribe")) == 5
    assert sum("142 made" in line for line in said(done, "transcribe")) == 1

    away.rename(folder)
    grown = workplace.run(**JUDGES)
    assert grown.returncode == 0, grown.stderr
    only = "213 cells wanted, 142 found in the store, 71 made"
    assert said(grown, "transcribe") == [f"transcribe: {only}"]
    assert said(grown, "judge") == [f"judge: {only}"] * 2
    ran = jobs(grown)
    assert {name: ran[name] for name in ("transcribe", "distil", "judge")} == {
        "transcribe": 1,
        "distil": 0,
        "judge": 2,
    }
    # models that it did not learn from are held out as they are
    assert agreement(workplace) == {
        ("rules", "all"): 1278,
        ("rules", "scenario"): 18 * held_out_scenarios(workplace),
        ("distilled", "scenario"): 426,
        ("distilled", "model"): 1278,
    }
    table = workplace.table()
    for model in MODELS:
        for condition in MODES:
            for name, number in counts(model, condition).items():
                assert table[catalogue_name(model)][f"{condition}_{name}"] == str(number)
    with (workplace.folder / TABLE).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6 * (12 + 3)
    assert {row["difference"] for row in rows} == {"0", "0.00"}
    caption = (workplace.folder / "results/replay/table1.md").read_text(encoding="utf-8")
    assert "Not in the mirror" not in caption
    manifest = json.loads((workplace.folder / "results/replay/manifest.json").read_text())
    assert {"comparison.csv", "agreement.csv", "calibration.csv"} <= manifest["files"].keys()
    check = steerability("verify", "results/replay", cwd=workplace.folder)
    assert check.returncode == 0, check.stderr

    whole = workplace.run(**JUDGES)
    assert "Nothing to be done" in whole.stdout + whole.stderr


def test_the_trained_judge_is_kept_as_its_models_runs_come(workplace: Workplace) -> None:
    trained = workplace.folder / "results" / "replay" / "distilled"
    folder = workplace.mirror / "results" / f"{MODELS[3]}_anti_ic_max_15_20260103_115047"
    away = workplace.folder / "away"
    folder.rename(away)
    config = JUDGES | {"models": [catalogue_name(name) for name in TRAINED_ON]}

    def content() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in trained.iterdir()}

    done = workplace.run(AGREEMENT, **config)
    assert done.returncode == 0, done.stderr
    first = content()
    assert json.loads(first["distilled.json"])["cells"] == 426 - 71

    away.rename(folder)
    grown = workplace.run(AGREEMENT, **config)
    assert grown.returncode == 0, grown.stderr
    only = "213 cells wanted, 142 found in the store, 71 made"
    assert said(grown, "transcribe") == [f"transcribe: {only}"]
    assert said(grown, "judge") == [f"judge: {only}"] * 2
    ran = jobs(grown)
    assert (ran["transcribe"], ran["distil"], ran["judge"]) == (1, 0, 2)
    assert "agreement: 71 cells of models that distilled learnt from came after" in (
        grown.stdout + grown.stderr
    )
    assert content() == first

    # as the note says; twice, to the same bytes, and whatever models are shown
    again = workplace.run(AGREEMENT, options=["--forcerun", "distil"], **config)
    assert again.returncode == 0, again.stderr
    whole = content()
    assert json.loads(whole["distilled.json"])["cells"] == 426
    measured = agreement(workplace)
    assert (measured["distilled", "scenario"], measured["distilled", "model"]) == (426, 426)
    fewer = JUDGES | {"models": [catalogue_name(MODELS[0])]}
    pointer = str((trained / "distilled.json").relative_to(workplace.folder))
    less = workplace.run(pointer, options=["--forcerun", "distil"], **fewer)
    assert less.returncode == 0, less.stderr
    assert jobs(less)["training_cells"] == jobs(less)["distil"] == 1
    digest = json.loads(whole["distilled.json"])["sha256"]
    assert json.loads(content()["distilled.json"])["sha256"] == digest
    name = f"{digest}.safetensors"
    assert content()[name] == whole[name]


def test_a_changed_byte_anywhere_in_the_mirror_is_one_line_and_status_2(
    workplace: Workplace,
) -> None:
    for path in sorted(workplace.mirror.rglob("*"))[::14]:
        if not path.is_file() or path.parent == workplace.mirror:
            continue
        good = path.read_bytes()
        path.write_bytes(good[:7] + bytes([good[7] ^ 1]) + good[8:])
        done = workplace.run(TABLE)
        assert done.returncode == 2
        lines = [line for line in done.stderr.splitlines() if "steerability: " in line]
        assert len(lines) == 1
        assert "differs from its pin" in lines[0]
        assert path.name in lines[0]
        path.write_bytes(good)


def test_a_table_that_is_not_the_published_one_fails(workplace: Workplace) -> None:
    published = workplace.folder / "published.csv"
    lines = published.read_text(encoding="utf-8").splitlines()
    fields = lines[1].split(",")
    fields[5] = str(int(fields[5]) + 1)
    published.write_text("\n".join([lines[0], ",".join(fields)]) + "\n", encoding="utf-8")
    done = workplace.run(TABLE, models=["qwen3-4b-base"])
    assert done.returncode == 1
    text = done.stdout + done.stderr
    assert "compare-published: differs from the published Table 1: qwen3-4b-base pro_conv" in text
    assert not (workplace.folder / TABLE).exists()


def test_without_a_mirror_the_pinned_addresses_are_used(workplace: Workplace) -> None:
    table = read_sources(workplace.folder / workplace.sources["index"])
    served = Files()
    for source in table.values():
        content = (workplace.mirror / source.path).read_bytes()
        served.files[f"/{source.repository}/{source.commit}/{source.path}"] = content
    served.answers = [(503, {})]
    del workplace.sources["mirror"]
    with serve_files(served):
        workplace.sources["base_url"] = served.address
        done = workplace.run(TABLE, models=["qwen3-4b-thinking"])
    assert done.returncode == 0, done.stderr
    assert list(workplace.table()) == ["qwen3-4b-thinking"]
    # the suite and the model's runs, nothing of other models
    assert len({path for path, _ in served.seen}) == 6 + 6


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"models": ["qwen3-5b"]}, "'qwen3-5b' is not defined"),
        ({"suite": "builtin"}, "suite: transcripts go with instrumentaleval"),
        ({"outputs": "generate"}, "published goes with outputs: transcripts only"),
        ({"interventions": ["pro", "mild"], "catalogue": {"interventions": {"mild": ""}}},
         "qwen3-4b-base has no published run with the intervention mild"),
        ({"sources": {"mirror": "/nowhere"}}, "/nowhere: no such folder"),
        ({"sources": {"mirror": "results"}}, "results: holds no run of qwen3-4b-base"),
    ],
)  # fmt: skip
def test_a_wrong_config_is_one_line_and_status_2(
    workplace: Workplace, config: dict[str, object], message: str
) -> None:
    done = workplace.run("-n", **config)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@NEEDS_MIRROR
def test_the_published_table_from_the_real_mirror(root: Path, tmp_path: Path) -> None:
    """Every number of protocol's table whose logs are at hand, rates at two decimals."""
    place = Workplace(root, tmp_path)
    place.sources = {"mirror": str(MIRROR)}
    done = place.run(TABLE)
    assert done.returncode == 0, done.stderr
    published = root / "workflow" / "reference" / "table1_published.csv"
    with published.open(encoding="utf-8", newline="") as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    table = place.table()
    assert set(table) <= set(rows)
    assert table
    for model, row in table.items():
        for name, number in rows[model].items():
            assert row[name] == number, (model, name)
    check_absent(table, rows, place)


def check_absent(table: Sequence[str], rows: Sequence[str], place: Workplace) -> None:
    caption = (place.folder / "results/replay/table1.md").read_text(encoding="utf-8")
    gone = [model for model in rows if model not in table]
    expected = f"Not in the mirror, so not in this table: {', '.join(gone)}."
    assert (expected in caption) == bool(gone)
