"""Folders and names of a run that do not meet, and paths that say what they mean."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from steerability.config.load import load_config
from steerability.config.model import Config
from steerability.support.errors import UserError


def config(root: Path, tmp_path: Path, **changes: Any) -> Config:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(yaml.safe_dump(changes))
    return load_config([root / "config.yaml", root / "config" / "demo.yaml", overlay])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"run": "store"}, "store (results/store) share a folder"),
        ({"run": "weights"}, "weights_dir (results/weights) share a folder"),
        ({"run": "sources"}, "sources.folder (results/sources) share a folder"),
        ({"run": "logs"}, "the fetches' logs (results/logs) share a folder"),
        ({"run": "mine", "store": "results/mine"}, "share a folder"),
        ({"run": "mine", "store": "results/mine/store"}, "share a folder"),
        ({"run": "mine", "store": "results"}, "share a folder"),
        ({"run": "mine", "store": "."}, "share a folder"),
        ({"run": "mine", "store": "./results/../results//mine/"}, "share a folder"),
        ({"results": ""}, "results: names no path"),
        ({"results": " "}, "results: names no path"),
        ({"results": "/"}, "the root folder"),
        ({"results": "//"}, "the root folder"),
        ({"results": "/x/.."}, "the root folder"),
        ({"store": ""}, "store: names no path"),
        ({"store": "results/weights"}, "is store too"),
        ({"results": "re{sults"}, "a brace"),
        ({"store": "a\x1b[2J"}, "a control character"),
        ({"store": "~nobody-of-this-name/x"}, "no such user"),
        ({"catalogue": {"interventions": {"pro": "{mode}.txt"}}}, "a brace"),
        ({"analysis": {"ablations": {"a": "{x}.csv"}}}, "a brace"),
        ({"interventions": ["pro", "Pro"], "catalogue": {"interventions": {"Pro": ""}}}, "case"),
    ],
)
def test_a_place_that_is_none_is_one_line(
    root: Path, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError) as caught:
        config(root, tmp_path, **changes)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_an_absolute_store_that_is_the_runs_folder_is_seen(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="share a folder"):
        config(root, tmp_path, run="mine", store=str(tmp_path / "results" / "mine"))


def test_a_tilde_is_the_home_folder(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/of/mine")
    read = config(
        root,
        tmp_path,
        store="~/store/",
        weights_search=["~/models"],
        catalogue={"interventions": {"pro": "~/pro.txt"}},
    )
    assert read.store == "/home/of/mine/store"
    assert read.weights_search == ("/home/of/mine/models",)
    assert read.catalogue.interventions["pro"].text == "/home/of/mine/pro.txt"
    assert read.catalogue.interventions["none"].text == ""
    assert read.results == "results"


def test_two_judges_and_models_never_share_a_log(root: Path) -> None:
    """Joined by a dash, judge a-b on model c and judge a on model b-c had one."""
    for table in sorted((root / "workflow" / "rules").glob("*.smk")):
        for line in table.read_text(encoding="utf-8").splitlines():
            assert "{{judge}}-{{model}}" not in line, table


PARENT = """
import os, signal, subprocess, sys, time
from pathlib import Path
from steerability.support.lifeline import VARIABLE, hold
path = hold(Path(sys.argv[1]))
child = f"import os, sys, time; from steerability.support.lifeline import end_with_the_run; " \
    "end_with_the_run(); print(os.getpid(), flush=True); time.sleep(300)"
subprocess.Popen(["bash", "-c", f"export {VARIABLE}={path}; {sys.executable} -c '{child}'; true"])
time.sleep(300)
"""


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_job_ends_when_what_started_it_is_killed(tmp_path: Path) -> None:
    """A shell stands in between, which nobody tells."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "alive")],
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert parent.stdout is not None
    job = int(parent.stdout.readline())
    time.sleep(1.0)
    assert alive(job)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 60
    while alive(job) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(job)
    # the next run removes what the killed one left
    assert len(list((tmp_path / "alive").iterdir())) == 1
    program = (
        "import sys; from pathlib import Path; from steerability.support.lifeline import hold;"
        "print(hold(Path(sys.argv[1])).name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "alive")],
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [path.name for path in (tmp_path / "alive").iterdir()] == [done.stdout.strip()]
