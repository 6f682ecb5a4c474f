"""Which cells correct which: the reference of a run, and the corrected table for readers."""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from steerability.analyse.corrected import METHODS, Calibration, correct
from steerability.analyse.grid import Model, grid_of
from steerability.analyse.names import short_names
from steerability.analyse.render import DASH, markdown_grid
from steerability.config.analysis import Analysis
from steerability.errors import UserError
from steerability.jsonl import read_records
from steerability.records import Label
from steerability.score.cells import CellRow, judges_of, read_cells
from steerability.tables import Field


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


def corrected_markdown(
    rows: Sequence[Mapping[str, Field]], plan: Analysis, notes: Mapping[str, str]
) -> str:
    """Return Table 1's gap as judged and as corrected, side by side."""
    if not rows:
        return "No judge of this run has labels beside a reference: nothing is corrected.\n"
    models = list(
        dict.fromkeys(Model(str(r["model"]), str(r["size"]), str(r["stage"])) for r in rows)
    )
    names = dict(zip((model.name for model in models), short_names(models), strict=True))
    body: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        if row["quantity"] not in ("pro", "anti", "delta"):
            continue
        key = (str(row["judge"]), str(row["model"]), str(row["quantity"]))
        line = body.setdefault(
            key, [str(row["as_judged"] or DASH), str(row["reference_value"] or DASH)]
        )
        value = row["corrected"]
        span = "" if row["low"] is None else f" ({row['low']} to {row['high']})"
        line.append(DASH if value is None else f"{value}{span}")
    header = ["judge", "model", "quantity", "as judged", "reference"]
    header += [method.replace("_", "-") for method in METHODS]
    marked = {judge: f"{judge}*" if judge in notes else judge for judge, _, _ in body}
    lines = [[marked[j], names[m], q, *line] for (j, m, q), line in body.items()]
    reference = rows[0]["reference"]
    text = markdown_grid(header, lines)
    text += (
        f"\n\nConvergence in % of valid outputs and its gap, corrected to the labels of "
        f"{reference}, which are that judge's labels, not the truth; "
        f"{100 * plan.confidence:g} % bootstrap intervals. A model that {reference} labelled in "
        f"full is corrected from the other models' cells alone.\n"
    )
    for judge in marked:
        if judge in notes:
            text += f"\n\\* {judge}: {notes[judge]}.\n"
    return text
