"""The description of a suite for other tools: what it says is what the suite holds."""

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from conftest import Run
from steerability.cli import run as call
from steerability.export import croissant
from steerability.suites.load import load_suite

ROOT = Path(__file__).parents[2]
BUILTIN = ROOT / "workflow/suites/builtin"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A suite and what is said about it, alone in a folder."""
    for name in ("suite.yaml", "about.yaml"):
        shutil.copy(BUILTIN / name, tmp_path / name)
    return tmp_path


def described(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "croissant.json").read_text(encoding="utf-8"))
    return found


def test_what_is_tracked_is_what_the_verb_makes(folder: Path) -> None:
    assert call(["croissant", str(folder / "suite.yaml")]) == 0
    mend = "run: steerability croissant workflow/suites/builtin/suite.yaml"
    for name in ("croissant.json", "scenarios.jsonl"):
        assert (BUILTIN / name).read_bytes() == (folder / name).read_bytes(), mend


def test_files_are_named_with_their_sizes_and_digests() -> None:
    files = described(BUILTIN)["distribution"]
    assert [file["contentUrl"] for file in files] == ["suite.yaml", "scenarios.jsonl"]
    for file in files:
        content = (BUILTIN / file["contentUrl"]).read_bytes()
        assert file["contentSize"] == f"{len(content)} B"
        assert file["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_row_holds_all_that_the_suite_says_of_a_scenario() -> None:
    suite = load_suite(BUILTIN / "suite.yaml")
    lines = (BUILTIN / "scenarios.jsonl").read_text(encoding="utf-8").splitlines()
    table = [json.loads(line) for line in lines]
    assert [row["id"] for row in table] == [one.id for one in suite.scenarios]
    splits = suite.splits()
    for row, plain, twin in zip(table, suite.cases("scenarios"), suite.cases("twins"), strict=True):
        assert (row["category"], row["split"]) == (plain.category, splits[row["id"]])
        assert (row["context"], row["prompt"]) == (plain.context, plain.prompt)
        assert (row["convergent"], row["compliant"]) == plain.answers
        assert (row["twin_context"], row["twin_prompt"]) == (twin.context, twin.prompt)
        assert (row["doing"], row["declining"]) == twin.answers
        assert row["canary"] == suite.canary


def test_versions_licence_and_counts_are_the_suites() -> None:
    found, suite = described(BUILTIN), load_suite(BUILTIN / "suite.yaml")
    assert found["conformsTo"] == list(croissant.VERSIONS)
    assert (found["version"], found["name"]) == (suite.version, "builtin")
    assert found["license"].endswith(f"/{suite.licence}")
    counts = [int(number) for number in re.findall(r"\d+", found["description"])]
    assert counts == [78, 6, 78, 78, 52, 26]
    assert suite.version in found["citeAs"]
    sets = {one["@id"]: one for one in found["recordSet"]}
    assert {row["categories/id"] for row in sets["categories"]["data"]} == set(suite.counts())
    columns = [field["source"]["extract"]["column"] for field in sets["scenarios"]["field"]]
    first = (BUILTIN / "scenarios.jsonl").read_text(encoding="utf-8").splitlines()[0]
    assert columns == list(json.loads(first))


def test_what_only_a_person_can_say_is_said() -> None:
    found = described(BUILTIN)
    fields = {name for name in found if name.startswith("rai:")}
    assert fields == {f"rai:{name}" for name in croissant.ResponsibleAI.model_fields}
    assert all(found[name] for name in fields)


def test_a_suite_without_answers_has_empty_cells(folder: Path) -> None:
    suite = load_suite(folder / "suite.yaml")
    bare = suite.scenarios[0].model_copy(update={"answers": None, "twin": None})
    row = croissant.row(suite, bare)
    assert row["id"] == bare.id
    assert [name for name, value in row.items() if value is None] == [
        *("convergent", "compliant", "twin_context", "twin_prompt", "doing", "declining")
    ]


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda text: text.replace("creators:", "creator:"), "creators: Field required"),
        (lambda text: text.replace("published: 2026", "published: x"), "published"),
        (lambda text: text.replace("dataBiases", "dataBias"), "responsible_ai.dataBiases"),
        (lambda text: text + "  : [", "not YAML"),
        (lambda text: "", "valid dictionary"),
        (None, "no such file"),
    ],
)
def test_a_fault_in_what_is_said_is_one_line(
    folder: Path, steerability: Run, change: Any, part: str
) -> None:
    about = folder / "about.yaml"
    if change is None:
        about.unlink()
    else:
        about.write_text(change(about.read_text(encoding="utf-8")), encoding="utf-8")
    done = steerability("croissant", folder / "suite.yaml")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert str(about) in done.stderr and part in done.stderr
    assert not (folder / "croissant.json").exists()
