"""A run through a real Slurm, one of its jobs killed and requeued: the digest of the local run."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import ROOT
from support.small_run import Place

from .conftest import Outside

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(2400)]

SCRIPT = Path(__file__).with_name("slurm-cluster.sh")
# No GPU here, and two cores a node; one sequence at a time, so that cells are finished one by one.
WORDS = (
    *("--use-apptainer", "--workflow-profile", str(ROOT / "workflow" / "profiles" / "slurm")),
    *("--apptainer-args", "--containall --cleanenv --net --network none"),
    *("--set-threads", "generate=1", "--slurm-status-command", "squeue"),
    *("--slurm-init-seconds-before-status-checks", "3", "--slurm-keep-successful-logs"),
)
CHANGES = {"shards": 2, "max_tokens": 32}


@pytest.fixture
def cluster() -> Iterator[Path]:
    """A Slurm of this machine, in a folder that its daemons may read."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
    folder.chmod(0o755)
    subprocess.run([SCRIPT, "start", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run([SCRIPT, "stop", folder], check=True)


def running_generate_job() -> str | None:
    """Return the id of a job of the rule generate that runs, as Slurm prints it."""
    listed = subprocess.run(
        ["squeue", "-h", "-t", "RUNNING", "-o", "%i %k"], capture_output=True, text=True, check=True
    ).stdout
    jobs = [line.split() for line in listed.splitlines() if "rule_generate" in line]
    return jobs[0][0] if jobs else None


def test_a_run_through_slurm_with_a_job_requeued(
    cluster: Path, images: Path, outside: Outside, tmp_path: Path
) -> None:
    expected = outside(**CHANGES)
    place = Place(tmp_path / "run").create(**CHANGES, parallel=1)
    with (tmp_path / "said").open("w") as said:
        run = subprocess.Popen(
            place.command(*WORDS, cores=None), cwd=place.folder, stdout=said, stderr=said
        )
        try:
            killed = None
            while run.poll() is None and killed is None:
                time.sleep(0.05)
                if place.objects():
                    killed = running_generate_job()
            assert killed, (tmp_path / "said").read_text()
            subprocess.run(["scontrol", "requeue", killed], check=True)
            assert run.wait(timeout=900) == 0, (tmp_path / "said").read_text()
        finally:
            run.kill()
            run.wait()
    shown = subprocess.run(
        ["scontrol", "show", "job", killed], capture_output=True, text=True, check=True
    ).stdout
    assert "Restarts=1" in shown and "JobState=COMPLETED" in shown
    manifest = place.manifest()
    assert manifest["digest"] == expected["digest"]
    assert len([name for name in manifest["facts"]["jobs"] if name.startswith("generate/")]) == 4
