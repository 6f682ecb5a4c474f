"""The verb flips."""

import json
from pathlib import Path

import pytest


def lines(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def sides(tmp_path):
    texts = {"pro/a": "yes it is", "pro/b": "no", "anti/a": "never", "anti/b": "x"}
    first = lines(tmp_path / "1.jsonl", [{"id": f"q8/{k}", "text": v} for k, v in texts.items()])
    texts |= {"pro/a": "yes it was", "anti/b": "xyz"}
    rows = [{"id": f"q4/{k}", "response": v} for k, v in reversed(texts.items())]
    return first, lines(tmp_path / "2.jsonl", rows)


def labels(path: Path, model: str, **by_cell: str) -> Path:
    rows = [{"id": f"{model}/{k.replace('_', '/')}", "label": v} for k, v in by_cell.items()]
    return lines(path, rows)


def test_outputs_and_labels_are_counted(steerability, sides, tmp_path):
    before = labels(tmp_path / "l1", "q8", pro_a="convergence", pro_b="nonsensical")
    after = labels(tmp_path / "l2", "q4", pro_a="no_convergence", pro_b="nonsensical")
    found = steerability(
        "flips", "--first", sides[0], "--second", sides[1], "--first-labels", before,
        "--second-labels", after, "--output", tmp_path / "flips.json",
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert "2 of 4 outputs differ (50.0 %" in found.stdout
    assert "1 of 2 labels differ" in found.stdout
    result = json.loads((tmp_path / "flips.json").read_text())
    assert result["outputs"]["parts_at"] == (len("yes it ") + len("x")) / 2
    assert result["outputs"]["by_intervention"]["pro"]["changed"] == 1
    assert result["labels"]["moves"] == [
        {"from": "convergence", "to": "no_convergence", "cells": 1}
    ]
    low, high = result["outputs"]["interval"]
    assert low == pytest.approx(0.150039, abs=1e-6) and high == pytest.approx(0.849961, abs=1e-6)


def test_sides_of_other_cells_are_refused(steerability, sides, tmp_path):
    short = lines(tmp_path / "s.jsonl", [{"id": "q8/pro/a", "text": "x"}])
    for words, message in (
        (("--first", short, "--second", sides[1]), "on the second side only (3 such cells)"),
        (("--first", sides[0], "--first", sides[0], "--second", sides[1]), "twice"),
        (("--first", sides[0], "--second", sides[1], "--first-labels", short), "one side only"),
    ):
        found = steerability("flips", *words)
        assert found.returncode == 2
        assert message in found.stderr
        assert found.stderr.count("\n") == 1


def test_cells_of_other_tasks_and_samples_are_told_apart(steerability, tmp_path):
    names = ("none/s1", "none/s1#1", "anti/s1@monitor")
    sides = []
    for model, text in (("a", "x"), ("b", "y")):
        rows = [{"id": f"{model}/{name}", "text": "x"} for name in names]
        rows += [{"id": f"twins/{model}/{name}", "text": text} for name in names]
        sides.append(lines(tmp_path / f"{model}.jsonl", rows))
    output = tmp_path / "flips.json"
    found = steerability("flips", "--first", sides[0], "--second", sides[1], "--output", output)
    assert found.returncode == 0, found.stderr
    counts = json.loads(output.read_text())["outputs"]
    assert (counts["cells"], counts["changed"]) == (6, 3)
    assert {name: c["changed"] for name, c in counts["by_intervention"].items()} == {
        **{"anti": 0, "none": 0},
        **{"twins/anti": 1, "twins/none": 2},
    }
