"""The wheel's folder is named by everything that can change the wheel."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ENVS = Path(__file__).parents[2] / "envs"


def run(envs: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [envs / "build-wheel.sh", *args],
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def envs(tmp_path: Path) -> Path:
    for name in ("build-wheel.sh", "llama-flags.txt", "llama.txt", "build.txt"):
        (tmp_path / "envs").mkdir(exist_ok=True)
        shutil.copy(ENVS / name, tmp_path / "envs" / name)
    return tmp_path / "envs"


def test_key_does_not_depend_on_where_the_repository_is(envs: Path) -> None:
    key = run(envs, "--key").stdout
    assert len(key.strip()) == 64
    assert key == run(ENVS, "--key").stdout


@pytest.mark.parametrize("name", ["llama-flags.txt", "llama.txt", "build.txt"])
def test_key_follows_flags_and_locks(envs: Path, name: str) -> None:
    before = run(envs, "--key").stdout
    with (envs / name).open("a") as file:
        file.write("-DGGML_AVX512=ON\n")
    assert run(envs, "--key").stdout != before


def test_a_wheel_that_is_there_is_not_built_again(envs: Path, tmp_path: Path) -> None:
    key = run(envs, "--key").stdout.strip()
    wheel = tmp_path / "wheels" / key / "llama_cpp_python-0-py3-none-linux_x86_64.whl"
    wheel.parent.mkdir(parents=True)
    wheel.write_bytes(b"")
    found = run(envs, STEERABILITY_WHEELS=str(tmp_path / "wheels"))
    assert (found.returncode, found.stdout) == (0, f"{wheel}\n")


def test_no_compiler_is_one_line_and_status_2(envs: Path) -> None:
    done = run(envs, CXX="no-such-compiler")
    assert done.returncode == 2
    assert done.stderr.startswith("build-wheel: no C++ compiler") and done.stderr.count("\n") == 1
