"""Which cells correct which: the reference of a run, and the corrected table for readers."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from steerability.config.analysis import Analysis
from steerability.estimate.grid import grid_of
from steerability.inference.corrected import Calibration, correct
from steerability.protocol.records import Label
from steerability.score.cells import CellRow, judges_of, read_cells
from steerability.support.errors import UserError
from steerability.support.jsonl import read_records
from steerability.support.tables import Field


def correct_all(
    rows: Sequence[CellRow],
    judges: Sequence[str],
    plan: Analysis,
    calibration: Path | None,
    labels: Sequence[Path],
) -> list[dict[str, Field]]:
    """Return ``corrected.csv`` for every judge that has calibration cells beside the reference.

    Args:
        rows: the run's cells.
        judges: in the order of the table.
        plan: names the reference judge.
        calibration: cells of another run to measure the judges on; None: this run's own.
        labels: label files that take the reference judge's place; they may cover some cells only.

    Raises:
        UserError: a label names no cell, or two judges stand in the label files.
    """
    source = read_cells(calibration) if calibration else list(rows)
    if labels:
        source, name = _with_labels(source, labels)
    elif plan.reference_judge in judges_of(source):
        name = plan.reference_judge
    else:
        return []
    known = set(judges_of(source))
    reference = grid_of(source, name)
    corrected: list[dict[str, Field]] = []
    for judge in judges:
        if judge == name or judge not in known:
            continue
        measured = Calibration(grid_of(source, judge), reference, same_run=calibration is None)
        corrected += correct(grid_of(rows, judge), measured, plan)
    return corrected


def _with_labels(rows: Sequence[CellRow], paths: Sequence[Path]) -> tuple[list[CellRow], str]:
    """Add reference labels to the cells as one more judge."""
    cells = {row.cell_id: row for row in rows}
    added = []
    for label in chain.from_iterable(read_records(path, Label) for path in paths):
        if label.id not in cells:
            raise UserError("no cell has this id", where=f"--reference {label.id}")
        added.append(
            cells[label.id].model_copy(update={"judge": label.judge, "label": label.label})
        )
    names = judges_of(added)
    if len(names) != 1:
        raise UserError(
            f"labels of {len(names)} judges", where="--reference", mend="give files of one judge"
        )
    return [row for row in rows if row.judge != names[0]] + added, names[0]
