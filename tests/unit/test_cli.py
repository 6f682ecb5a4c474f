from pathlib import Path

import pytest

from conftest import Run
from steerability.cli import VERBS, run


def test_help_names_every_verb_without_importing_rooms(steerability: Run) -> None:
    result = steerability("--help")
    assert result.returncode == 0
    assert all(f"  {verb} " in result.stdout for verb in VERBS)


def test_every_verb_is_one_module_named_for_it(root: Path) -> None:
    modules = {path.stem for path in (root / "workflow/steerability/verbs").glob("*.py")}
    assert modules - {"__init__"} == {verb.replace("-", "_") for verb in VERBS}


def test_every_verb_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in VERBS:
        assert run([verb, "--help"]) == 0
        assert f"steerability {verb}" in capsys.readouterr().out


def test_an_unknown_verb_or_option_is_one_line_and_status_2(steerability: Run) -> None:
    for words in (["paint"], ["config", "--colour"], ["--nope"]):
        result = steerability(*words)
        assert result.returncode == 2
        assert len(result.stderr.splitlines()) == 1
        assert "--help" in result.stderr


def test_a_users_error_is_one_line_and_reaches_the_log(steerability: Run, tmp_path: Path) -> None:
    result = steerability("--log", "a/b.log", "config", "absent.yaml")
    assert result.returncode == 2
    assert result.stderr == (
        "steerability: absent.yaml: cannot be read: No such file or directory\n"
    )
    assert (tmp_path / "a" / "b.log").read_text() == f"made in no image\n{result.stderr}"
