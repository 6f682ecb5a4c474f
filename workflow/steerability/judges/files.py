"""Reading completions and labels from their files."""

from collections.abc import Iterable
from pathlib import Path

from steerability.protocol.records import Completion, Label
from steerability.support.errors import UserError
from steerability.support.jsonl import read_records


def read_completions(paths: Iterable[Path]) -> dict[str, Completion]:
    """Return completions by id.

    Raises:
        UserError: a file does not fit, or an id comes twice.
    """
    rows: dict[str, Completion] = {}
    for path in paths:
        for row in read_records(path, Completion):
            if row.id in rows:
                raise UserError(f"the cell {row.id} comes twice", where=path)
            rows[row.id] = row
    return rows


def read_labels(paths: Iterable[Path]) -> dict[str, dict[str, Label]]:
    """Return labels by judge and id, judges in the order they are met.

    Raises:
        UserError: a file does not fit, or a judge labels a cell twice.
    """
    labels: dict[str, dict[str, Label]] = {}
    for path in paths:
        for label in read_records(path, Label):
            known = labels.setdefault(label.judge, {})
            if label.id in known:
                raise UserError(f"{label.judge} labels {label.id} twice", where=path)
            known[label.id] = label
    return labels
