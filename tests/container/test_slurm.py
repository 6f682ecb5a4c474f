"""Runs through a real Slurm, one job killed and requeued: the digest of the local run."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from conftest import ROOT
from support.small_run import Place

from .conftest import Outside, skip_without_root

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(2400)]

SCRIPT = Path(__file__).with_name("slurm-cluster.sh")
# No GPU here, and few cores a node.
WORDS = (
    *("--use-apptainer", "--workflow-profile", str(ROOT / "workflow" / "profiles" / "slurm")),
    *("--apptainer-args", "--containall --cleanenv --net --network none"),
    *("--set-threads", "generate=1", "judge=1", "--slurm-status-command", "squeue"),
    *("--slurm-init-seconds-before-status-checks", "3", "--slurm-keep-successful-logs"),
)


@pytest.fixture
def cluster() -> Iterator[Path]:
    """A Slurm of this machine, in a folder that its daemons may read."""
    skip_without_root("a Slurm of this machine (tests/container/slurm-cluster.sh)")
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


def run_and_requeue(
    command: Sequence[str], folder: Path, ready: Callable[[], bool], seconds: int
) -> None:
    """Run a workflow to its end; a generating job is killed and requeued as soon as it is ready."""
    log = folder / "said"
    with log.open("w") as said:
        run = subprocess.Popen(command, cwd=folder, stdout=said, stderr=said)
        try:
            killed = None
            while run.poll() is None and killed is None:
                time.sleep(0.05)
                if ready():
                    killed = running_generate_job()
            assert killed, log.read_text()
            subprocess.run(["scontrol", "requeue", killed], check=True)
            assert run.wait(timeout=seconds) == 0, log.read_text()
        finally:
            run.kill()
            run.wait()
    shown = subprocess.run(
        ["scontrol", "show", "job", killed], capture_output=True, text=True, check=True
    ).stdout
    assert "Restarts=1" in shown and "JobState=COMPLETED" in shown


def generate_jobs(manifest: dict) -> int:
    return len([name for name in manifest["facts"]["jobs"] if name.startswith("generate/")])


def test_a_run_through_slurm_with_a_job_requeued(
    cluster: Path, images: Path, outside: Outside, tmp_path: Path
) -> None:
    expected = outside(max_tokens=32)
    # one sequence at a time, so that cells are finished one by one
    place = Place(tmp_path / "run").create(max_tokens=32, shards=2, parallel=1)
    command = place.command(*WORDS, cores=None)
    run_and_requeue(command, place.folder, lambda: bool(place.objects()), 900)
    manifest = place.manifest()
    assert generate_jobs(manifest) == 4 and generate_jobs(expected) == 2
    assert manifest["digest"] == expected["digest"]


@pytest.mark.slow
def test_the_demo_through_slurm_with_a_job_requeued(
    cluster: Path, images: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), *WORDS]
    command += ["--configfile", str(ROOT / "config" / "demo.yaml"), "--config", "shards=2"]
    store = tmp_path / "results" / "store" / "sha256"
    run_and_requeue(command, tmp_path, lambda: len([*store.glob("*/*.json")]) >= 40, 2000)
    manifest = json.loads((tmp_path / "results" / "demo" / "manifest.json").read_text())
    tracked = json.loads((ROOT / "workflow" / "reference" / "demo.json").read_text())
    assert generate_jobs(manifest) == 4
    assert (manifest["digest"], manifest["stages"]) == (tracked["digest"], tracked["stages"])
