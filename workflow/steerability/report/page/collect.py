"""What a page shows, read from a run's folder and checked for being of one piece.

Replies are not kept here: there may be hundreds of megabytes of them. ``payload`` reads them one
file at a time and hands them on.
"""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from steerability.config.study import Study
from steerability.protocol.intervention import Intervention
from steerability.protocol.task import Task
from steerability.report.long_tables import (
    Line,
    LongTables,
    Row,
    line_names,
    read_long_tables,
)
from steerability.score.cells import CellRow, read_cells
from steerability.score.choices import ChoiceRow, read_choices
from steerability.suites.model import Suite
from steerability.support.canonical import sha256_file
from steerability.support.errors import UserError
from steerability.support.jsonl import read_record, read_records
from steerability.support.tables import read_csv

LONG = ("rates.csv", "contrasts.csv", "steering.csv")
_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_CAPTION = "{http://purl.org/dc/elements/1.1/}description"


@dataclass(frozen=True)
class Figure:
    """A figure: its name, title and caption by its metadata, and its SVG."""

    name: str
    title: str
    caption: str
    svg: bytes


@dataclass
class Cell:
    """A cell of the page: its row, and the label that each judge gave it; or its log-odds."""

    row: CellRow | ChoiceRow
    labels: dict[str, str]

    @property
    def log_odds(self) -> float | None:
        """Of a choice."""
        return self.row.log_odds if isinstance(self.row, ChoiceRow) else None


@dataclass(frozen=True)
class Run:
    """A run as a page shows it.

    Attributes:
        name: the run's name.
        folder: where its records lie.
        study: tasks, scales, roles, notes.
        suites: by the name that tasks use.
        interventions: by name; empty where the run keeps none.
        cells: by their id, in the order of ``cells.csv``, then of ``choices.csv``.
        tables: the long tables.
        further: the run's other tables, rows by file name; absent files are left out.
        figures: in the order to show them.
        digests: SHA-256 of the files that the page was made from, by name.
    """

    name: str
    folder: Path
    study: Study
    suites: dict[str, Suite]
    interventions: dict[str, Intervention]
    cells: dict[str, Cell]
    tables: LongTables
    further: dict[str, list[Row]]
    figures: list[Figure]
    digests: dict[str, str]

    @cached_property
    def models(self) -> list[str]:
        """The models, in the order of their cells."""
        return list(dict.fromkeys(cell.row.model for cell in self.cells.values()))

    @cached_property
    def names(self) -> dict[Line, str]:
        """What readers call each line of a table."""
        rows = (*self.tables.rates, *self.tables.contrasts)
        lines = (Line(row["model"], row["size"], row["stage"], row["guard"]) for row in rows)
        return line_names(lines)

    @cached_property
    def shown_interventions(self) -> tuple[str, ...]:
        """The interventions that have a cell, as readers see them."""
        present = dict.fromkeys(cell.row.intervention for cell in self.cells.values())
        return self.study.design.order(present)

    @cached_property
    def judges(self) -> list[str]:
        """Judges that gave a label, as the tasks have them."""
        given = {judge for cell in self.cells.values() for judge in cell.labels}
        named = dict.fromkeys(judge for task in self.study.tasks for judge in task.judges)
        return [judge for judge in named if judge in given]


def files_of(run: Run) -> dict[tuple[str, str], list[Cell]]:
    """Return the cells of every task and model, in their order."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in run.cells.values():
        groups.setdefault((cell.row.task, cell.row.model), []).append(cell)
    return groups


def collect(folder: Path, *, name: str, study: Study, extra: Sequence[str]) -> Run:
    """Read a run, all but its replies.

    Args:
        folder: the run's folder, holding at least the suites, ``cells.csv`` or ``choices.csv``,
            the long tables, and the records that these were made of.
        name: the run's name.
        study: its tasks, scales and roles.
        extra: names of further CSV files to read where they are there.

    Raises:
        UserError: a file is missing or does not fit, or a cell is of no task or scenario.
    """
    used = [*LONG]
    cells: dict[str, Cell] = {}
    if study.labelled:
        used.append("cells.csv")
        for row in read_cells(folder / "cells.csv"):
            cells.setdefault(row.cell_id, Cell(row, {})).labels[row.judge] = row.label
    if study.chosen:
        used.append("choices.csv")
        for choice in read_choices(folder / "choices.csv"):
            cells[choice.cell_id] = Cell(choice, {})
    names = dict.fromkeys(task.suite for task in study.tasks)
    suites = {suite: read_record(folder / "suites" / f"{suite}.json", Suite) for suite in names}
    used += [f"suites/{suite}.json" for suite in suites]
    _check_scenarios(cells, study, suites)
    used += _records(cells, study)
    interventions: dict[str, Intervention] = {}
    if (folder / "interventions.jsonl").is_file():
        used.append("interventions.jsonl")
        records = read_records(folder / "interventions.jsonl", Intervention)
        interventions = {item.name: item for item in records}
    present = [file for file in extra if (folder / file).is_file()]
    figures = [_figure(path) for path in sorted((folder / "figures").glob("*.svg"))]
    used += [*present, *(f"figures/{figure.name}.svg" for figure in figures)]
    return Run(
        name=name,
        folder=folder,
        study=study,
        suites=suites,
        interventions=interventions,
        cells=cells,
        tables=read_long_tables(*(folder / file for file in LONG)),
        further={file: read_csv(folder / file, ()) for file in present},
        figures=figures,
        digests={file: _digest(folder / file) for file in sorted(set(used))},
    )


def _digest(path: Path) -> str:
    try:
        return sha256_file(path)
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=path) from error


def record_files(task: Task, model: str, judges: Sequence[str]) -> list[str]:
    """Return the names of the files that hold a task's records of a model, labels last."""
    if task.measure == "choose":
        return [f"choices/{task.name}/{model}.jsonl"]
    labels = (f"labels/{task.name}/{judge}/{model}.jsonl" for judge in judges)
    return [f"responses/{task.name}/{model}.jsonl", *labels]


def _records(cells: dict[str, Cell], study: Study) -> list[str]:
    judges: dict[tuple[str, str], dict[str, None]] = {}
    for cell in cells.values():
        judges.setdefault((cell.row.task, cell.row.model), {}).update(dict.fromkeys(cell.labels))
    return [
        file
        for (task, model), found in judges.items()
        for file in record_files(study.task(task), model, list(found))
    ]


def _check_scenarios(cells: dict[str, Cell], study: Study, suites: dict[str, Suite]) -> None:
    known = {
        (task.name, scenario.id): scenario.category
        for task in study.tasks
        for scenario in suites[task.suite].scenarios
    }
    tasks = {task.name: task for task in study.tasks}
    for name, cell in cells.items():
        row = cell.row
        if row.task not in tasks:
            raise UserError(
                f"the study has no task {row.task}", where=name, mend="score the run again"
            )
        if known.get((row.task, row.scenario)) != row.category:
            raise UserError(
                f"no such scenario in the category {row.category}",
                where=f"suites/{tasks[row.task].suite}.json: {row.scenario}",
                mend="make the suite and the cells anew",
            )


def _figure(path: Path) -> Figure:
    content = path.read_bytes()
    try:
        root = ET.fromstring(content)
    except ET.ParseError as error:
        raise UserError(f"not an SVG: {error}", where=path, mend="draw it again") from error
    title, caption = (
        next((element.text or "" for element in root.iter(tag)), "") for tag in (_TITLE, _CAPTION)
    )
    name = path.stem
    title = title or name.replace("_", " ")
    return Figure(name, title, caption or title, content)
