"""A random sample of a run's cells, generated again and compared byte by byte."""

import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from steerability.protocol.request import ChoiceOutput, Output, OutputLine, Request
from steerability.protocol.response import Choice, Response
from steerability.support.documents import parse_json
from steerability.support.errors import UserError
from steerability.support.files import read_bytes
from steerability.support.jsonl import read_records, write_records


class Made(NamedTuple):
    """A cell that the run generated.

    Attributes:
        job: the job that made it.
        request: what was asked for.
        weights_sha256: the digest of its weights.
        accelerated: made on an accelerator, where bytes may depend on the job's batches.
    """

    job: str
    request: Request
    weights_sha256: str
    accelerated: bool


def read_made(folder: Path) -> dict[str, Made]:
    """Return the cells that a run generated, by id; a run from transcripts has none.

    Raises:
        UserError: a file of the run is missing.
    """
    found: dict[str, Made] = {}
    # where a model was once split into other jobs, what was planned last is what was made
    paths = sorted((folder / "requests").glob("*/*.jsonl"), key=lambda path: path.stat().st_mtime)
    for path in paths:
        job = f"{path.parent.name}-{path.stem}"
        facts = folder / "facts" / "generate" / f"{job}.json"
        told = parse_json(read_bytes(facts), facts)
        if not isinstance(told, dict):
            raise UserError("holds no facts of a job", where=facts, mend="run it again")
        if sha256 := told.get("weights_sha256"):
            for request in read_records(path, Request):
                found[request.id] = Made(job, request, sha256, bool(told.get("gpu_layers")))
    return found


Row = Response | Choice


def read_rows(folder: Path) -> dict[str, Row]:
    """Return a run's responses and choices by id."""
    found: dict[str, Row] = {}
    for path in sorted((folder / "responses").glob("*/*.jsonl")):
        found |= {row.id: row for row in read_records(path, Response)}
    for path in sorted((folder / "choices").glob("*/*.jsonl")):
        found |= {choice.id: choice for choice in read_records(path, Choice)}
    return found


def _differs(row: Row, made: Output | ChoiceOutput) -> bool:
    """Whether what was made again is not what the run holds."""
    if isinstance(row, Choice):
        return (
            not isinstance(made, ChoiceOutput) or made.scores != row.scores or made.key != row.key
        )
    if isinstance(made, ChoiceOutput):
        return True
    said = row.response if row.raw is None else row.raw
    here = (said, row.thinking, row.finish_reason, row.completion_tokens, row.key)
    return here != (made.text, made.thinking, made.finish_reason, made.completion_tokens, made.key)


def generate_again(
    cells: Sequence[Made], weights_dir: Path, scratch: Path
) -> Iterator[tuple[Made, Output | ChoiceOutput]]:
    """Generate cells of one job again, into an empty store.

    Raises:
        UserError: the weights are not there.
        RuntimeError: ``steerability generate`` failed; its own line went to stderr.
    """
    job, sha256 = cells[0].job, cells[0].weights_sha256
    weights = weights_dir / f"{sha256}.gguf"
    if not weights.exists():
        raise UserError(
            "the weights are not there", where=weights, mend="fetch them, or name --weights-dir"
        )
    requests = scratch / f"{job}.requests.jsonl"
    output = scratch / f"{job}.jsonl"
    write_records(requests, (cell.request for cell in cells))
    command = [sys.executable, "-m", "steerability", "generate", "--weights", str(weights)]
    command += ["--weights-sha256", sha256, "--requests", str(requests)]
    command += ["--output", str(output), "--store", str(scratch / "store")]
    if subprocess.run(command, check=False).returncode:
        raise RuntimeError(f"the cells of {job} could not be generated again")
    for cell, made in zip(cells, read_records(output, OutputLine), strict=True):
        yield cell, made.root


class Sampled(NamedTuple):
    """What came of a sample.

    Attributes:
        made: how many cells were made again.
        faults: one clause for each that came out otherwise.
        accelerated: cells that could not be drawn, since an accelerator made them.
    """

    made: int
    faults: list[str]
    accelerated: int


def check_sample(folder: Path, weights_dir: Path, size: int, seed: int) -> Sampled:
    """Generate a random sample of a run's cells again and compare them with its rows.

    Cells are made again on the CPU, so those that an accelerator made are not drawn.

    Args:
        folder: the run's folder.
        weights_dir: folder with the weights, named by digest.
        size: how many cells, at most.
        seed: chooses the sample.
    """
    made, rows = read_made(folder), read_rows(folder)
    here = [name for name in rows if name in made and not made[name].accelerated]
    chosen = random.Random(seed).sample(here, min(size, len(here)))
    cells = sorted((made[name] for name in chosen), key=attrgetter("job"))
    faults = []
    with tempfile.TemporaryDirectory(prefix="steerability-verify-") as scratch:
        for _, group in groupby(cells, key=attrgetter("job")):
            for cell, again in generate_again([*group], weights_dir, Path(scratch)):
                if _differs(rows[cell.request.id], again):
                    faults.append(f"{cell.request.id} came out otherwise")
    return Sampled(len(chosen), faults, sum(cell.accelerated for cell in made.values()))
