"""Which cells correct which: the reference of a run, and the corrected table for readers."""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from steerability.config.study import Study
from steerability.estimate.grid import Grid, grid_of, main_task
from steerability.inference.corrected import Calibration, correct
from steerability.protocol.label import Label
from steerability.score.cells import CellRow, judges_of, read_cells
from steerability.support.errors import UserError
from steerability.support.jsonl import read_records
from steerability.support.tables import Field


def correct_all(
    rows: Sequence[CellRow],
    grids: Mapping[str, Grid],
    study: Study,
    calibration: Path | None,
    labels: Sequence[Path],
) -> list[dict[str, Field]]:
    """Return ``corrected.csv`` for every judge that has calibration cells beside the reference.

    Args:
        rows: the run's cells.
        grids: of its first task by judge, in the order of the table.
        study: names the reference judge, in its analysis; roles and scale of the first task.
        calibration: cells of another run to measure the judges on; None: this run's own.
        labels: label files that take the reference judge's place; they may cover some cells only.

    Raises:
        UserError: a label names no cell, or two judges stand in the label files.
    """
    task = main_task(study)
    plan = study.analysis
    everything = read_cells(calibration) if calibration else rows
    source = [row for row in everything if row.task == task]
    if labels:
        source, name = _with_labels(source, labels)
    elif plan.reference_judge in judges_of(source):
        name = plan.reference_judge
    else:
        return []
    known = set(judges_of(source))
    reference = grid_of(source, name, study)
    corrected: list[dict[str, Field]] = []
    for judge, grid in grids.items():
        if judge == name or judge not in known:
            continue
        judged = grid_of(source, judge, study)
        measured = Calibration(judged, reference, same_run=calibration is None)
        corrected += correct(grid, measured, study)
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
