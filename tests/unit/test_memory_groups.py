"""The memory that a process may take, by control groups of both versions, nested ones too."""

from pathlib import Path

import pytest

from steerability.engine import memory

GIB = 1 << 30


class _Machine:
    available = 64 * GIB


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(memory, "_CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "_OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(memory.psutil, "virtual_memory", _Machine)
    (tmp_path / "cgroup").mkdir()
    return tmp_path


def second(folder: Path, limit: str, used: int, cache: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 1\nfile {cache}\nkernel 2\n")


def first(folder: Path, limit: int, used: int, cache: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.limit_in_bytes").write_text(f"{limit}\n")
    (folder / "memory.usage_in_bytes").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"cache 7\nrss 1\ntotal_cache {cache}\n")


def test_without_groups_the_machine_counts(groups: Path) -> None:
    assert memory.available() == 64 * GIB


def test_a_container_sees_its_group_as_the_root(groups: Path) -> None:
    (groups / "own").write_text("0::/\n")
    second(groups / "cgroup", str(8 * GIB), 3 * GIB, GIB)
    assert memory.available() == 6 * GIB
    # the path of the host, which is not there
    (groups / "own").write_text("0::/../../docker/abc\n")
    assert memory.available() == 6 * GIB


def test_the_tightest_of_nested_groups_counts(groups: Path) -> None:
    (groups / "own").write_text("0::/slurm/job_1/step_0\n")
    second(groups / "cgroup" / "slurm" / "job_1" / "step_0", "max", GIB)
    second(groups / "cgroup" / "slurm" / "job_1", str(10 * GIB), 4 * GIB, 2 * GIB)
    second(groups / "cgroup" / "slurm", str(40 * GIB), 20 * GIB)
    assert memory.available() == 8 * GIB
    second(groups / "cgroup" / "slurm", str(40 * GIB), 39 * GIB)
    assert memory.available() == GIB
    second(groups / "cgroup" / "slurm", str(40 * GIB), 41 * GIB)
    assert memory.available() == 0


def test_the_first_version_counts_too(groups: Path) -> None:
    (groups / "own").write_text("12:cpu,cpuacct:/x\n7:memory:/slurm/job_1\n0::/init\n")
    root = groups / "cgroup" / "memory"
    first(root, 9223372036854771712, 5 * GIB)
    first(root / "slurm" / "job_1", 12 * GIB, 5 * GIB, GIB)
    assert memory.available() == 8 * GIB


def test_a_group_that_cannot_be_read_limits_nothing(groups: Path) -> None:
    (groups / "own").write_text("0::/a\n")
    second(groups / "cgroup" / "a", "many", 1)
    assert memory.available() == 64 * GIB
    (groups / "cgroup" / "a" / "memory.stat").write_text("no form at all\n")
    assert memory.available() == 64 * GIB
