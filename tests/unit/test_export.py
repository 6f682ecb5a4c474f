import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from steerability.cli import run as call
from steerability.export.crate import CARRIED, carried
from steerability.export.licence import texts_of
from steerability.protocol.conversation import Append, Message, Prefill, Turns
from steerability.protocol.intervention import Intervention
from steerability.support.canonical import sha256_text
from steerability.support.jsonl import read_records
from support.fake_run import make_run


def finished(folder: Path, **more: Any) -> Path:
    made = make_run(folder, models=1, scenarios=6, thinking_words=5, figures=False, **more)
    assert call(["publish", str(made)]) == 0
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return finished(tmp_path / "made")


def texts(folder: Path) -> list[Intervention]:
    return list(read_records(folder / "interventions.jsonl", Intervention))


def graph_of(folder: Path, root: Path) -> dict[str, Any]:
    """What the crate of a run says, by identity."""
    crate = folder.parent / "crate"
    words = ["export", str(folder), "--ro-crate", str(crate), "--repository", str(root)]
    assert call(words) == 0
    text = (crate / "ro-crate-metadata.json").read_text(encoding="utf-8")
    return {entity["@id"]: entity for entity in json.loads(text)["@graph"]}


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("nothing asked for", "nothing to export"),
        ("not finished", "no manifest"),
        ("changed", "not as the manifest says"),
        ("in the way", "is there already"),
        ("another run's config", "is of the run demo, not made"),
        ("not JSON", "not JSON"),
        ("no repository", "no CITATION.cff"),
    ],
)
def test_what_cannot_be_exported_is_said_in_one_line(
    case: str, said: str, folder: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crate = folder.parent / "crate"
    words = ["export", str(folder), "--ro-crate", str(crate), "--repository", str(root)]
    if case == "nothing asked for":
        words = words[:2]
    elif case == "not finished":
        (folder / "manifest.json").unlink()
    elif case == "changed":
        (folder / "cells.csv").write_text("")
    elif case == "in the way":
        crate.mkdir()
    elif case == "another run's config":
        for name in ("config.yaml", "config/demo.yaml"):
            words += ["--config", str(root / name)]
    elif case == "not JSON":
        words += ["--config", "{"]
    else:
        words[-1] = str(folder)
    capsys.readouterr()
    assert call(words) == 2
    line = capsys.readouterr().err.splitlines()
    assert len(line) == 1 and said in line[0]
    assert not (crate / "ro-crate-metadata.json").exists()


def test_the_crate_holds_config_and_notes_without_folders(folder: Path, root: Path) -> None:
    crate = folder.parent / "crate"
    words = ["export", str(folder), "--ro-crate", str(crate), "--repository", str(root)]
    overlay = {
        "run": "made",
        "store": "/somewhere/store",
        "judges": ["doubtful"],
        "primary_judge": "doubtful",
        "catalogue": {"judges": {"doubtful": {"kind": "rules", "note": "measures nothing"}}},
    }
    for item in (str(root / "config.yaml"), json.dumps(overlay)):
        words += ["--config", item]
    assert call(words) == 0
    text = (crate / "ro-crate-metadata.json").read_text(encoding="utf-8")
    assert '"#setting-max_tokens"' in text or '"#setting-shards"' in text
    assert "doubtful (measures nothing)" in text
    assert "/somewhere" not in text and str(folder) not in text


@pytest.mark.parametrize(
    ("licence", "of_whole", "of_suite", "name", "said"),
    [
        ("none", "#no-licence", "#no-licence-of-text", "None granted", "not for passing on"),
        ("CC0-1.0", "LICENSE", "https://spdx.org/licenses/CC0-1.0", "CC0-1.0", ""),
        ("apache-2.0", "LICENSE", "https://spdx.org/licenses/Apache-2.0", "Apache-2.0", ""),
        (
            "CC-BY-4.0",
            "#several-licences",
            "https://spdx.org/licenses/CC-BY-4.0",
            "CC-BY-4.0",
            "suites/made.json is under CC-BY-4.0",
        ),
        (
            "MIT OR CC-BY-4.0",
            "#several-licences",
            "#licence-of-text",
            "MIT OR CC-BY-4.0",
            "under MIT OR CC-BY-4.0",
        ),
        ("ask me", "#several-licences", "#licence-of-text", "ask me", "under ask me"),
    ],
)
def test_a_crate_is_under_the_workflows_licence_only_where_that_is_true(
    licence: str,
    of_whole: str,
    of_suite: str,
    name: str,
    said: str,
    tmp_path: Path,
    root: Path,
) -> None:
    graph = graph_of(finished(tmp_path / "made", licence=licence), root)
    assert graph["./"]["license"] == {"@id": of_whole}
    assert said in graph[of_whole].get("description", "")
    assert graph["suites/made.json"]["license"] == {"@id": of_suite}
    assert graph[of_suite]["name"] == name
    assert "license" not in graph["interventions.jsonl"]
    assert graph["Snakefile"]["license"] == graph["LICENSE"]["name"] == "Apache-2.0"


def test_published_suffixes_under_a_free_suite_are_without_a_licence(
    tmp_path: Path, root: Path
) -> None:
    """Their texts are known by the digests in the repository."""
    repository = tmp_path / "repository"
    for path in (root / "Snakefile", root / "LICENSE", *carried(root)):
        target = repository / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    folder = finished(tmp_path / "made", licence="CC0-1.0")
    assert graph_of(folder, repository)["./"]["license"] == {"@id": "LICENSE"}
    shutil.rmtree(tmp_path / "crate")
    [text] = [one.words for one in texts(folder) if one.name == "pro"]
    with (repository / "workflow" / "reference" / "suffixes.csv").open("a") as table:
        table.write(f"pro,{len(text)},{sha256_text(text)}\n")
    graph = graph_of(folder, repository)
    assert graph["./"]["license"] == {"@id": "#no-licence"}
    assert "(interventions.jsonl, and" in graph["#no-licence"]["description"]
    assert graph["interventions.jsonl"]["license"] == {"@id": "#no-licence-of-text"}


def test_a_published_text_is_known_among_others_and_repeated() -> None:
    example = (Message(role="user", content="1?"), Message(role="assistant", content="One."))
    edits = (
        Append(text="Go.\n\nOn."),
        Prefill(text="Yes.\n\nYes.\n\nYes."),
        Turns(messages=example),
    )
    found = list(texts_of(Intervention(name="x", edits=(*edits, Append(text="")))))
    assert found == ["Go.\n\nOn.", "Yes.\n\nYes.\n\nYes.", "Yes.", "1?", "One."]


def test_the_crate_carries_the_workflow_and_nothing_that_lies_beside_it(root: Path) -> None:
    paths = {path.relative_to(root).as_posix() for path in carried(root)}
    assert all(any(root.glob(pattern)) for pattern in CARRIED)
    assert sum((root / path).stat().st_size for path in paths) < 3_000_000
    if not (root / ".git").exists():
        return
    folders = ("config", "containers", "envs", "workflow")
    tracked = subprocess.run(
        ["git", "ls-files", *folders], cwd=root, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert {path for path in paths if path.startswith(folders)} - {"config.yaml"} == set(tracked)


@pytest.mark.parametrize(
    ("words", "configs"),
    [
        (["RUN=demo"], ["config.yaml", "config/demo.yaml"]),
        (["RUN=replay"], ["config.yaml", "config/replay.yaml"]),
        (["RUN=paper"], ["config.yaml"]),
        (["RUN=mine"], []),
        (
            ["RUN=mine", "CONFIG=config/demo.yaml mine.yaml"],
            ["config.yaml", "config/demo.yaml", "mine.yaml"],
        ),
    ],
)
def test_make_export_gives_the_config_of_the_run_that_it_exports(
    words: list[str], configs: list[str], root: Path
) -> None:
    done = subprocess.run(
        ["make", "-n", "export", *words], cwd=root, capture_output=True, text=True, check=True
    )
    [command] = re.findall(r"python -m steerability export (?:.*\\\n)*.*", done.stdout)
    given = command.replace("\\\n", " ").split()
    assert [given[at + 1] for at, word in enumerate(given) if word == "--config"] == configs
