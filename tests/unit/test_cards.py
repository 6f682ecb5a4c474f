"""Graphics cards are claimed one to a job."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from steerability.loading import card_lock as cards

HOLD = """
import sys, time
from pathlib import Path
from steerability.loading.card_lock import claim
print(claim(Path(sys.argv[1]), lambda _: time.sleep(0.05)), flush=True)
sys.stdin.readline()
"""


def holder(folder: Path, visible: str) -> subprocess.Popen[str]:
    environment = os.environ | {
        cards.VARIABLE: visible,
        "PYTHONPATH": str(Path("workflow").resolve()),
    }
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def said(job: subprocess.Popen[str]) -> str:
    assert job.stdout is not None
    return job.stdout.readline().strip()


def test_jobs_side_by_side_get_different_cards_and_the_next_waits(tmp_path: Path) -> None:
    first, second = holder(tmp_path, "0,3"), holder(tmp_path, "0,3")
    assert {said(first), said(second)} == {"0", "3"}
    third = holder(tmp_path, "0,3")
    assert third.stderr is not None
    assert "all 2 graphics cards are taken" in third.stderr.readline()
    first.kill()
    first.communicate()
    started = time.monotonic()
    assert said(third) in {"0", "3"}
    assert time.monotonic() - started < 10
    for job in (second, third):
        job.communicate("\n", timeout=20)


def test_one_card_or_none_needs_no_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cards.VARIABLE, "7")
    assert cards.claim(tmp_path / "locks") is None
    monkeypatch.setenv(cards.VARIABLE, "")
    assert cards.cards() == []
    monkeypatch.delenv(cards.VARIABLE)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cards.cards() == []
    assert not (tmp_path / "locks").exists()


def test_cards_are_listed_by_the_drivers_tool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho GPU-aa\necho GPU-bb\n")
    tool.chmod(0o755)
    monkeypatch.delenv(cards.VARIABLE, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert cards.cards() == ["GPU-aa", "GPU-bb"]
    monkeypatch.setattr(os, "environ", dict(os.environ))
    assert cards.claim(tmp_path / "locks") == "GPU-aa"
    assert os.environ[cards.VARIABLE] == "GPU-aa"
