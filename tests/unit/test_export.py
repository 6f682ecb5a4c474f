import json
from pathlib import Path

import pytest

from steerability.cli import run as call
from support.fake_run import make_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = make_run(tmp_path / "made", models=1, scenarios=6, thinking_words=5, figures=False)
    assert call(["publish", str(made)]) == 0
    return made


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
