"""A random sample of a run's cells, generated again and compared byte by byte."""

import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from steerability.errors import UserError


class Shard(NamedTuple):
    """A job of the run: its requests, its outputs and the digest of its weights."""

    name: str
    requests: dict[str, str]
    outputs: dict[str, str]
    weights_sha256: str


def _lines(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return {json.loads(line)["id"]: line for line in lines if line}


def read_shards(folder: Path) -> list[Shard]:
    """Return the generated shards of a run; a run from transcripts has none.

    Raises:
        UserError: a file of the run is missing.
    """
    shards = []
    for path in sorted((folder / "outputs").glob("*/*.jsonl")):
        name = f"{path.parent.name}-{path.stem}"
        facts = folder / "facts" / "generate" / f"{name}.json"
        requests = folder / "requests" / path.parent.name / path.name
        try:
            sha256 = json.loads(facts.read_text(encoding="utf-8")).get("weights_sha256")
            if sha256 is not None:
                shards.append(Shard(name, _lines(requests), _lines(path), sha256))
        except OSError as error:
            raise UserError(
                f"cannot be read: {error.strerror}", where=error.filename, mend="run it again"
            ) from error
    return shards


def regenerate(
    shard: Shard, wanted: list[str], weights_dir: Path, scratch: Path
) -> Iterator[tuple[str, str, str]]:
    """Generate cells of a shard again, into an empty store, and yield id, line then, line now.

    Raises:
        UserError: the weights are not there.
        RuntimeError: ``steerability generate`` failed; its own line went to stderr.
    """
    weights = weights_dir / f"{shard.weights_sha256}.gguf"
    if not weights.exists():
        raise UserError(
            "the weights are not there", where=weights, mend="fetch them, or name --weights-dir"
        )
    requests = scratch / f"{shard.name}.requests.jsonl"
    output = scratch / f"{shard.name}.jsonl"
    requests.write_text("".join(shard.requests[name] + "\n" for name in wanted), encoding="utf-8")
    command = [sys.executable, "-m", "steerability", "generate", "--weights", str(weights)]
    command += ["--weights-sha256", shard.weights_sha256, "--requests", str(requests)]
    command += ["--output", str(output), "--store", str(scratch / "store")]
    if subprocess.run(command, check=False).returncode:
        raise RuntimeError(f"the cells of {shard.name} could not be generated again")
    now = _lines(output)
    for name in wanted:
        yield name, shard.outputs[name], now[name]


def check_sample(folder: Path, weights_dir: Path, size: int, seed: int) -> tuple[int, list[str]]:
    """Generate a random sample of a run's cells again.

    Args:
        folder: the run's folder.
        weights_dir: folder with the weights, named by digest.
        size: how many cells, at most.
        seed: chooses the sample.

    Returns:
        How many cells were made again, and one clause for each that came out otherwise.
    """
    shards = read_shards(folder)
    cells = [(place, name) for place, shard in enumerate(shards) for name in shard.outputs]
    chosen = random.Random(seed).sample(cells, min(size, len(cells)))
    faults = []
    with tempfile.TemporaryDirectory(prefix="steerability-verify-") as scratch:
        for place, shard in enumerate(shards):
            wanted = [name for where, name in chosen if where == place]
            if wanted:
                again = regenerate(shard, wanted, weights_dir, Path(scratch))
                faults += [f"{name} came out otherwise" for name, then, now in again if then != now]
    return len(chosen), faults
