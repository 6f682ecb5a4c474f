"""A named file counts by its content: one that is replaced by an older one is read again.

Only what needs no model is made. For the later rules empty files stand in the outputs' places, and
``snakemake --touch`` records them as if they had been made.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

from support.small_run import Place

LONG_AGO = 1_577_836_800.0
"""2020-01-01, in seconds."""


def planned(result: subprocess.CompletedProcess[str]) -> set[str]:
    """Names of the rules that a dry run would run."""
    assert result.returncode == 0, result.stdout + result.stderr
    return set(re.findall(r"(?m)^(\w+) +\d+$", result.stdout + result.stderr)) - {"total"}


def params_changed(result: subprocess.CompletedProcess[str]) -> set[str]:
    """Names of the rules that a dry run would run because of their parameters."""
    said = result.stdout + result.stderr
    found = re.search(r"(?m)^ +params have changed.*:\n +(.+)$", said)
    assert found, said
    return set(found[1].split(", "))


def replace(path: Path, old: str, new: str) -> None:
    """Write another text in a file's place, with an old time, as ``cp -p`` or ``tar x`` do."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    os.utime(path, (LONG_AGO, LONG_AGO))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A run of which suite and texts are made."""
    place = Place(tmp_path / "small").create()
    made = place.snakemake("--", "results/small/suites/small.json", "results/small/interventions.jsonl")
    assert made.returncode == 0, made.stdout + made.stderr
    return place


def test_a_text_and_a_suite_with_an_old_time_are_read_again(place: Place) -> None:
    targets = ("--", "results/small/suites/small.json", "results/small/interventions.jsonl")
    assert planned(place.snakemake("-n", *targets)) == set()
    replace(place.folder / "pro.txt", "Any means", "No means")
    assert planned(place.snakemake("-n", *targets)) == {"interventions"}
    replace(place.folder / "suite.yaml", "harbour office", "harbour bureau")
    assert planned(place.snakemake("-n", *targets)) == {"interventions", "suite"}
    assert place.snakemake(*targets).returncode == 0
    texts = (place.run / "interventions.jsonl").read_text(encoding="utf-8")
    assert "No means will do." in texts
    assert planned(place.snakemake("-n", *targets)) == set()


def test_every_rule_that_reads_a_named_file_is_planned_when_the_content_changes(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path / "small").create()
    folder = place.folder
    sources = {
        "rubric.yaml": "workflow/judges/rules.yaml",
        "published.csv": "workflow/reference/table1_published.csv",
    }
    # round by round: of a rule whose inputs are made again anyway, Snakemake names no parameters
    rounds = [
        {"suite.yaml": "suite", "anti.txt": "interventions"},
        {"template.jinja": "plan"},
        {"rubric.yaml": "judge"},
        {"labels.jsonl": "statistics", "ablation.csv": "figures"},
        {"calibration.csv": "statistics"},
        {"published.csv": "figures"},
    ]
    for name in {name for readers in rounds for name in readers} - {"suite.yaml", "anti.txt"}:
        source = sources.get(name)
        text = (place.root / source).read_text(encoding="utf-8") if source else "one\n"
        (folder / name).write_text(text, encoding="utf-8")
    place.write(
        models=["templated"],
        judges=["mine"],
        primary_judge="mine",
        sources={"published": str(folder / "published.csv")},
        analysis={
            "reference_labels": [str(folder / "labels.jsonl")],
            "calibration": str(folder / "calibration.csv"),
            "ablations": {"other": str(folder / "ablation.csv")},
        },
        catalogue={
            "suites": {"small": {"kind": "file", "path": str(folder / "suite.yaml")}},
            "interventions": {name: str(folder / f"{name}.txt") for name in ("pro", "anti")},
            "models": {
                "templated": {
                    "source": "gguf",
                    "weights": "smollm2-135m-instruct-q4_1",
                    "size": "135M",
                    "stage": "Instruct",
                    "template": str(folder / "template.jinja"),
                }
            },
            "judges": {"mine": {"kind": "rules", "rubric": str(folder / "rubric.yaml")}},
        },
    )
    summary = place.snakemake("--summary")
    assert summary.returncode == 0, summary.stderr
    for line in summary.stdout.splitlines()[1:]:
        path = folder / line.split("\t")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    touched = place.snakemake("--touch", "--forceall")
    assert touched.returncode == 0, touched.stdout + touched.stderr
    for readers in rounds:
        kept = {name: (folder / name).read_bytes() for name in readers}
        for name, content in kept.items():
            (folder / name).write_bytes(content + b"\n# another\n")
            os.utime(folder / name, (LONG_AGO, LONG_AGO))
        result = place.snakemake("-n")
        assert set(readers.values()) <= params_changed(result)
        assert "publish" in planned(result)
        for name, content in kept.items():
            (folder / name).write_bytes(content)
            os.utime(folder / name, (LONG_AGO, LONG_AGO))
    assert planned(place.snakemake("-n")) == set()
