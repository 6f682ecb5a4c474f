"""What the installer says to hosts that it does not serve, and to those that need nothing."""

import os
import subprocess
from pathlib import Path

import pytest

from . import conftest

SCRIPT = Path(__file__).parents[2] / "containers" / "install-apptainer.sh"


def install(path: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT], env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
    )


def only(tmp_path: Path, name: str, says: str) -> str:
    """A PATH with this program and what the checks need: any step beyond them would fail."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("bash", "env", "grep", "head", "sort"):
        (tools / tool).symlink_to(f"/usr/bin/{tool}")
    (tools / name).write_text(f"#!/bin/bash\necho {says}\n")
    (tools / name).chmod(0o755)
    return str(tools)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("apptainer", "apptainer version 1.4.5"),
        ("apptainer", "apptainer version 1.2.0-1.el9"),
        ("singularity", "singularity-ce version 4.1.1"),
    ],
)
def test_host_that_has_one_new_enough_is_left_alone(tmp_path: Path, name: str, says: str) -> None:
    done = install(only(tmp_path, name, says))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"install-apptainer: {says} is here already; nothing to do\n"


@pytest.mark.parametrize(
    ("name", "says", "least"),
    [
        ("apptainer", "apptainer version 1.0.3", "1.2.0"),
        ("singularity", "singularity version 3.8.7", "3.11.0"),
        ("apptainer", "nothing of use", "does not say its version"),
    ],
)
def test_host_that_has_one_too_old_is_told_so(
    tmp_path: Path, name: str, says: str, least: str
) -> None:
    done = install(only(tmp_path, name, says))
    assert done.returncode == 2
    assert least in done.stderr and done.stderr.count("\n") == 1


def test_other_machines_are_refused_in_one_line(tmp_path: Path) -> None:
    done = install(only(tmp_path, "uname", "riscv64"))
    assert done.returncode == 2
    assert "only Debian 12 on x86-64 is supported" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("user", "there", "ci", "skipped"),
    [
        (1000, False, None, True),
        (1000, False, "1", False),
        (1000, True, None, False),
        (0, False, None, False),
    ],
)
def test_an_ordinary_user_without_apptainer_skips_and_ci_never_does(
    monkeypatch: pytest.MonkeyPatch, user: int, there: bool, ci: str | None, skipped: bool
) -> None:
    monkeypatch.setattr(conftest.os, "geteuid", lambda: user)
    monkeypatch.delenv("CI", raising=False)
    if ci:
        monkeypatch.setenv("CI", ci)
    try:
        conftest.skip_without_root("installing it", there=there)
    except pytest.skip.Exception as skip:
        assert skipped and str(skip) == "installing it needs root"
    else:
        assert not skipped
