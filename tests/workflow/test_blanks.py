"""A repository, and a run, below a folder with a blank in its name."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT

from .conftest import Place, made

pytestmark = pytest.mark.heavy


@pytest.fixture
def blank(tmp_path: Path) -> Place:
    folder = tmp_path / "a folder"
    skip = shutil.ignore_patterns(".*", "results", "tests", "images", "*.egg-info")
    shutil.copytree(ROOT, folder / "repository", ignore=skip)
    (folder / "repository" / ".venv").symlink_to(sys.prefix)
    return Place(tmp_path / "my run", root=folder / "repository").create()


def snakemake(place: Place, *words: str) -> subprocess.CompletedProcess[str]:
    """Run it by the repository's own Python, as the README says, whose path has the blank too."""
    python = place.root / ".venv" / "bin" / "python"
    command = [str(python), *place.command(*words)[1:]]
    return subprocess.run(
        command, cwd=place.folder, capture_output=True, text=True, timeout=600, check=False
    )


def test_a_run_below_a_folder_with_a_blank_is_the_same(blank: Place, place: Place) -> None:
    result = snakemake(blank)
    assert result.returncode == 0, result.stdout + result.stderr
    assert made(result, "generate") == 12
    assert blank.manifest()["digest"] == place.manifest()["digest"]


def test_a_chat_template_below_such_a_folder_is_read(blank: Place) -> None:
    template = blank.folder / "chat.jinja"
    template.write_text("{{ messages[-1].content }}")
    blank.write(
        suite="builtin", catalogue={"models": {"smollm2-135m-chat": {"template": str(template)}}}
    )
    result = snakemake(blank, "--until", "plan")
    assert result.returncode == 0, result.stdout + result.stderr
    requests = blank.run / "requests" / "smollm2-135m-chat" / "000.jsonl"
    assert '"template":"{{ messages[-1].content }}"' in requests.read_text()
