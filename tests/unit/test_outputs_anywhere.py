"""Outputs, logs and prints where they can go wrong: devices, links, full disks, locales."""

import os
import re
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import Run
from steerability.support import console
from steerability.support.errors import UserError
from steerability.support.files import LEFTOVER_SECONDS, remove_leftovers, write_atomic
from support.disk import mounted

CELL = '{"id": "a", "category": "c", "context": "", "prompt": "p", "response": "I will not."}\n'


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    path = tmp_path / "cells.jsonl"
    path.write_text(CELL)
    return path


def words(cells: Path, output: object) -> list[object]:
    return ["judge", "--judge", "rules", "--cells", cells, "--output", output]


def test_a_device_is_written_to_and_stays_one(cells: Path, steerability: Run) -> None:
    for device, status in (("/dev/null", 0), ("/dev/full", 1)):
        before = Path(device).stat()
        done = steerability(*words(cells, device))
        assert done.returncode == status, done.stderr
        after = Path(device).stat()
        assert stat.S_ISCHR(after.st_mode) and after.st_rdev == before.st_rdev
    assert "steerability: /dev/full: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_link_is_written_through(cells: Path, tmp_path: Path, steerability: Run) -> None:
    target, link = tmp_path / "there" / "labels.jsonl", tmp_path / "link.jsonl"
    target.parent.mkdir()
    target.write_text("old\n")
    link.symlink_to(target)
    assert steerability(*words(cells, link)).returncode == 0
    assert link.is_symlink() and target.read_text().startswith('{"id":"a"')
    target.unlink()  # a link that dangles makes the file that it names
    assert steerability(*words(cells, link)).returncode == 0
    assert link.is_symlink() and target.read_text().startswith('{"id":"a"')


def test_a_link_to_a_device_and_a_loop_are_no_files(
    cells: Path, tmp_path: Path, steerability: Run
) -> None:
    to_null, loop = tmp_path / "null", tmp_path / "loop"
    to_null.symlink_to("/dev/null")
    loop.symlink_to(loop)
    assert steerability(*words(cells, to_null)).returncode == 0
    assert to_null.is_symlink() and stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    done = steerability(*words(cells, loop))
    assert done.returncode == 1 and loop.is_symlink()
    assert done.stderr.splitlines()[-1].endswith(f"{loop}: Too many levels of symbolic links")


def test_a_folder_a_long_name_and_a_file_as_folder_are_one_line(
    cells: Path, tmp_path: Path, steerability: Run
) -> None:
    for output, said in (
        (tmp_path, "Is a directory"),
        (tmp_path / ("x" * 260), "File name too long"),
        (cells / "labels.jsonl", "Not a directory"),
    ):
        done = steerability(*words(cells, output))
        assert done.returncode == 1, done.stderr
        assert said in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_umask_is_respected(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        write_atomic(tmp_path / "file", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


def test_a_full_disk_leaves_the_old_file_whole(tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "size=64k") as disk:
        path = disk / "labels.jsonl"
        write_atomic(path, b"old")
        with pytest.raises(OSError, match="No space left on device") as caught:
            write_atomic(path, b"x" * 1_000_000)
        assert caught.value.filename == str(path)
        assert [one.name for one in disk.iterdir()] == ["labels.jsonl"]
        assert path.read_bytes() == b"old"


def test_a_full_disk_under_the_log_is_one_line_and_stops_nothing(
    cells: Path, tmp_path: Path, steerability: Run
) -> None:
    with mounted(tmp_path / "small", "size=4k") as disk:
        (disk / "filler").write_bytes(b"x" * 4096)
        for log in (disk / "deep" / "run.log", disk / "run.log", Path("/dev/full")):
            output = tmp_path / "labels.jsonl"
            done = steerability("--log", log, *words(cells, output))
            assert done.returncode == 0, done.stderr
            assert done.stderr.count("cannot be written") == 1, done.stderr
            assert "going on without it" in done.stderr and "Traceback" not in done.stderr
            assert output.read_text().startswith('{"id":"a"')
            output.unlink()


def test_a_log_that_can_be_none_is_one_line(cells: Path, tmp_path: Path, steerability: Run) -> None:
    for log in (tmp_path, cells / "x.log", tmp_path / ("x" * 260)):
        done = steerability("--log", log, *words(cells, tmp_path / "o.jsonl"))
        assert done.returncode == 2, done.stderr
        assert "the log cannot be written" in done.stderr and len(done.stderr.splitlines()) == 1


def run_in(
    locale: dict[str, str], *more: object, stdout: object = subprocess.PIPE
) -> "subprocess.CompletedProcess[bytes]":
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path), **locale}
    return subprocess.run(
        [sys.executable, "-m", "steerability", *map(str, more)],
        env=environment,
        stdout=stdout,  # type: ignore[call-overload]
        stderr=subprocess.PIPE,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_no_locale_stops_a_stage(encoding: str, tmp_path: Path, root: Path) -> None:
    """``suite`` prints the title of a suite, here with what no such locale has."""
    text = (root / "workflow" / "suites" / "builtin" / "suite.yaml").read_text(encoding="utf-8")
    suite = tmp_path / "suite.yaml"
    text = re.sub("(?m)^title: .*$", "title: Δ and 猫", text)
    suite.write_text(text, encoding="utf-8")
    bad = tmp_path / "Δ.yaml"
    locale = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    assert run_in(locale, "suite", suite, "--output", tmp_path / "out.json").returncode == 0
    done = run_in(locale, "suite", bad)
    assert done.returncode == 2 and b"Traceback" not in done.stderr
    assert rb"\u0394.yaml" in done.stderr


def test_an_output_that_takes_no_more_is_one_line(root: Path) -> None:
    suite = root / "workflow" / "suites" / "builtin" / "suite.yaml"
    with Path("/dev/full").open("wb") as full:
        done = run_in({}, "suite", suite, stdout=full)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines() == ["steerability: No space left on device"]


def test_what_names_and_files_hold_does_not_steer_a_terminal(
    tmp_path: Path, steerability: Run
) -> None:
    evil = "\x1b]0;owned\x07\x1b[2Jx\u202e"
    done = steerability("suite", tmp_path / evil)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "\x1b" not in done.stderr and "\x07" not in done.stderr and "\u202e" not in done.stderr
    assert r"\x1b]0;owned\x07" in done.stderr
    newline = steerability("suite", tmp_path / "a\nb")
    assert len(newline.stderr.splitlines()) == 1
    option = steerability("suite", f"--{evil}")
    assert option.returncode == 2 and "\x1b" not in option.stderr


def test_stdout_does_not_steer_a_terminal_either(tmp_path: Path) -> None:
    program = (
        "import sys; from steerability.support.console import guarded_output; guarded_output();"
        "print('a\\x1b[2Jb\\tc'); sys.stdout.flush()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        check=True,
    )
    assert done.stdout == b"a\\x1b[2Jb\tc\n"


def test_a_log_holds_no_escape_sequences(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    console.use_log(tmp_path / "run.log")
    try:
        console.note("a\x1b[31mb")
        with console.Progress("verb", 1) as progress:
            progress.say("c\x1b[0m")
            progress.close_with(1, 0, 1)
    finally:
        console.use_log(None)
    text = (tmp_path / "run.log").read_text(encoding="utf-8")
    assert text.splitlines()[:2] == [r"a\x1b[31mb", r"verb: c\x1b[0m"]
    assert "\x1b" not in capsys.readouterr().err


def test_only_old_leftovers_go(tmp_path: Path) -> None:
    old, young, other = (tmp_path / name for name in (".a.1.tmp", ".b.2.tmp", "mine.tmp"))
    for path in (old, young, other):
        path.write_text("")
    for path in (old, other):
        os.utime(path, (time.time() - LEFTOVER_SECONDS - 60,) * 2)
    remove_leftovers([tmp_path, tmp_path / "missing"])
    assert [path.exists() for path in (old, young, other)] == [False, True, True]


def test_an_error_is_one_line_whatever_it_names() -> None:
    error = UserError("a\nb\x1b[2J", where="x\ny\x07", mend="c\td")
    assert str(error) == r"x\ny\x07: a b\x1b[2J; c d"
