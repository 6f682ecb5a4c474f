"""Label files: what the labelling page saves, read and checked against the run it is of.

JSON lines. The first is a header that says which replies were labelled, by whom, on which scale
and which cells were drawn; each further line is a label with the cell's blind name as its id.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

from pydantic import BaseModel, Field, ValidationError, model_validator

from steerability.labelling.names import Replied, blind_name, run_digest
from steerability.protocol.base import LARGEST, Digest, Name, Record
from steerability.protocol.label import Label
from steerability.protocol.scale import Scale
from steerability.support.errors import UserError
from steerability.support.files import read_text
from steerability.support.jsonl import explain

KIND = "labels"
Shown = Literal["prompt as sent", "prompt without the intervention"]
AS_SENT: Shown = "prompt as sent"
WITHOUT: Shown = "prompt without the intervention"
BlindName = str
RecordT = TypeVar("RecordT", bound=BaseModel)


class Header(Record):
    """The first line of a label file.

    Attributes:
        run: digest of the replies of the task and models (``names.run_digest``).
        task: which task's.
        models: whose replies.
        scale: name of the scale, and ``labels``: its outcomes in order.
        rater: who labelled; the labels' judge.
        shown: what of the prompt the rater saw.
        seed: of the draw, and ``cells``: how many of each model were asked for.
        draw: digest of the drawn cells in the order they are shown.
        drawn: blind names of each cell and of its scenario.
    """

    kind: Literal["labels"] = "labels"
    format: Literal[1] = 1
    run: Digest
    task: Name
    models: tuple[Name, ...]
    scale: Name
    labels: tuple[Name, ...]
    rater: Name
    shown: Shown = AS_SENT
    seed: int = Field(ge=0, le=LARGEST)
    cells: int = Field(ge=1, le=LARGEST)
    draw: Digest
    drawn: tuple[tuple[BlindName, BlindName], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _no_cell_twice(self) -> "Header":
        if len({cell for cell, _ in self.drawn}) != len(self.drawn):
            raise ValueError("drawn: a cell stands twice")
        return self


class Rating(Label):
    """A label that a person gave; ``reason`` is the comment.

    Attributes:
        unsure: whether the rater said so.
        seconds: from showing the cell to labelling it; None where the page was left meanwhile.
    """

    unsure: bool = False
    seconds: int | None = Field(default=None, ge=0, le=LARGEST)


class LabelFile(NamedTuple):
    """A label file that was read.

    Attributes:
        path: where it lies.
        header: its first line.
        ratings: by the cell's blind name, in the file's order.
    """

    path: Path
    header: Header
    ratings: dict[BlindName, Rating]


def read_label_file(path: Path) -> LabelFile:
    """Read what the page saved.

    Raises:
        UserError: it cannot be read or does not fit, or a label is of a cell that was not drawn,
            of another rater, not on the scale, or of a cell that has one; names the line.
    """
    lines = _lines(path)
    if not lines or not _is_header(lines[0][1]):
        raise UserError(
            "has no header of a label file", where=path, mend="give a file that the page saved"
        )
    header = _record(path, *lines[0], Header)
    scenarios = dict(header.drawn)
    ratings: dict[BlindName, Rating] = {}
    for number, line in lines[1:]:
        rating = _record(path, number, line, Rating)
        where = f"{path} line {number}"
        _check_label(rating, header.labels, f"the scale {header.scale}", where)
        if rating.judge != header.rater:
            raise UserError(f"a label of {rating.judge}, not of {header.rater}", where=where)
        if rating.id not in scenarios:
            raise UserError(f"the cell {rating.id} was not drawn", where=where)
        if rating.id in ratings:
            raise UserError(f"the cell {rating.id} is labelled twice", where=where)
        ratings[rating.id] = rating
    return LabelFile(path, header, ratings)


def labels_of(file: LabelFile, cells: Iterable[Replied]) -> list[Label]:
    """Return a file's labels under the cells' own ids.

    Args:
        file: as read.
        cells: of the run: responses, or rows of ``cells.csv``.

    Raises:
        UserError: the labels are of other replies than the run's, or a cell is unknown to it.
    """
    header = file.header
    own = [one for one in cells if one.task == header.task and one.model in header.models]
    absent = sorted(set(header.models) - {one.model for one in own})
    if absent:
        raise UserError(
            f"labels of {absent[0]} in the task {header.task}, which the run does not have",
            where=file.path,
            mend="give the label file of this run",
        )
    if run_digest(own) != header.run:
        raise UserError(
            f"labels of other replies (run {header.run[:12]}…), not of this run's",
            where=file.path,
            mend="label this run's replies (steerability label), or give the run they are of",
        )
    ids = {blind_name(header.run, "cell", one.cell_id): one.cell_id for one in own}
    unknown = next((name for name in file.ratings if name not in ids), None)
    if unknown is not None:
        raise UserError(f"the run has no cell {unknown}", where=file.path)
    return [_label(ids[name], rating) for name, rating in file.ratings.items()]


def read_reference_labels(
    paths: Iterable[Path], cells: Sequence[Replied], scales: Mapping[str, Scale] | None = None
) -> list[Label]:
    """Return the labels of ``analysis.reference_labels``, under the ids of the run's cells.

    A file is one that the labelling page saved, or JSON lines of labels whose ids are the run's.

    Args:
        paths: the files.
        cells: of the run: responses, or rows of ``cells.csv`` (one cell may have several).
        scales: the scale of each task; a label that is none of its outcomes is refused. None, or a
            task that is not there: not checked, but for what a header says itself.

    Raises:
        UserError: a file does not fit, is of another run, names an unknown cell, labels a cell
            twice (within a file or in two files of one rater), or leaves the scale.
    """
    tasks = {one.cell_id: one.task for one in cells}
    known = scales or {}
    found: dict[tuple[str, str], Label] = {}
    for path in paths:
        for label in _labels(path, cells, tasks):
            scale = known.get(tasks[label.id])
            if scale is not None:
                _check_label(label, scale.names, f"the scale {scale.name}", f"{path}: {label.id}")
            if (label.judge, label.id) in found:
                raise UserError(f"{label.judge} labels {label.id} twice", where=path)
            found[label.judge, label.id] = label
    return list(found.values())


def _labels(path: Path, cells: Sequence[Replied], tasks: Mapping[str, str]) -> Iterable[Label]:
    lines = _lines(path)
    if lines and _is_header(lines[0][1]):
        return labels_of(read_label_file(path), cells)
    labels = []
    for number, line in lines:
        label = _record(path, number, line, Label)
        if label.id not in tasks:
            raise UserError(
                f"the run has no cell {label.id}",
                where=f"{path} line {number}",
                mend="give the label file of this run",
            )
        labels.append(label)
    return labels


def _label(identity: str, rating: Rating) -> Label:
    reason = "; ".join(part for part in ("unsure" * rating.unsure, rating.reason) if part)
    return Label(id=identity, label=rating.label, reason=reason, judge=rating.judge, key=rating.key)


def _check_label(label: Label, labels: Sequence[str], of: str, where: str) -> None:
    if label.label not in labels:
        raise UserError(
            f"{label.label} is no label of {of}", where=where, mend=f"known: {', '.join(labels)}"
        )


def _lines(path: Path) -> list[tuple[int, str]]:
    """Return the lines that hold anything, with their numbers."""
    lines = read_text(path).removeprefix("\ufeff").split("\n")
    return [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def _is_header(line: str) -> bool:
    try:
        first = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(first, dict) and first.get("kind") == KIND


def _record(path: Path, number: int, line: str, record: type[RecordT]) -> RecordT:
    try:
        return record.model_validate_json(line)
    except ValidationError as error:
        raise UserError(explain(error), where=f"{path} line {number}") from error
