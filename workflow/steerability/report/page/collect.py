"""What a page shows, read from a run's folder and checked for being of one piece."""

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from steerability.estimate.grid import CONDITIONS
from steerability.protocol.records import Completion, Intervention, Label
from steerability.score.cells import CellRow, judges_of, read_cells
from steerability.suites.model import Suite
from steerability.support.canonical import sha256_file
from steerability.support.errors import UserError
from steerability.support.jsonl import read_record, read_records
from steerability.support.tables import read_csv

_TABLE_COLUMNS = ("model", "size", "stage", "judge", "delta")
_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_CAPTION = "{http://purl.org/dc/elements/1.1/}description"
_FIRST_FIGURES = ("convergence", "delta", "outcomes")


@dataclass(frozen=True)
class Figure:
    """A figure: its name, title and caption by its metadata, and its SVG."""

    name: str
    title: str
    caption: str
    svg: bytes


@dataclass(frozen=True)
class Run:
    """A run as a page shows it.

    Attributes:
        name: the run's name.
        suite: the scenarios and the categories' titles.
        interventions: texts by name; empty where the run keeps none.
        completions: one per cell, in the order of ``cells.csv``.
        labels: judge → id of the cell → label; the primary judge is first.
        notes: judge → warning to show wherever the judge is shown.
        table: rows of ``table1.csv``, every field as text.
        tables: the run's other statistics, rows by file name; absent files are left out.
        figures: in the order to show them.
        digests: SHA-256 of the files that the page was made from, by name.
    """

    name: str
    suite: Suite
    interventions: dict[str, str]
    completions: list[Completion]
    labels: dict[str, dict[str, Label]]
    notes: dict[str, str]
    table: list[dict[str, str]]
    tables: dict[str, list[dict[str, str]]]
    figures: list[Figure]
    digests: dict[str, str]

    @property
    def primary(self) -> str:
        """The judge of Table 1."""
        return next(iter(self.labels))

    @property
    def models(self) -> list[tuple[str, str, str]]:
        """Name, size and stage of each model, in the order of ``cells.csv``."""
        return list(dict.fromkeys((c.model, c.size, c.stage) for c in self.completions))

    @property
    def conditions(self) -> list[str]:
        """The interventions: pro, none and anti first, then further ones as they come."""
        present = dict.fromkeys(c.intervention for c in self.completions)
        return sorted(
            present, key=lambda c: CONDITIONS.index(c) if c in CONDITIONS else len(CONDITIONS)
        )


def collect(folder: Path, *, name: str, notes: dict[str, str], extra: tuple[str, ...]) -> Run:
    """Read a run.

    Args:
        folder: the run's folder, holding at least ``suite.json``, ``cells.csv``, ``table1.csv``
            and the completions and labels that ``cells.csv`` was made of.
        name: the run's name.
        notes: judge → warning.
        extra: names of further CSV files to read where they are there.

    Raises:
        UserError: a file is missing or does not fit, or completions or labels are not those
            that ``cells.csv`` was made of.
    """
    rows = read_cells(folder / "cells.csv")
    table = read_csv(folder / "table1.csv", _TABLE_COLUMNS)
    if not table:
        raise UserError("no models", where=folder / "table1.csv")
    used = ["suite.json", "cells.csv", "table1.csv"]
    primary = table[0]["judge"]
    judges = judges_of(rows)
    if primary not in judges:
        raise UserError(f"the judge {primary} labelled no cell", where=folder / "table1.csv")
    completions, files = _completions(folder, rows)
    used += files
    labels = {}
    for judge in (primary, *(judge for judge in judges if judge != primary)):
        labels[judge], files = _labels(folder, judge, rows)
        used += files
    suite = read_record(folder / "suite.json", Suite)
    known = {scenario.id: scenario.category for scenario in suite.scenarios}
    for row in rows:
        if known.get(row.scenario) != row.category:
            raise UserError(
                f"no such scenario in the category {row.category}",
                where=f"{folder / 'suite.json'}: {row.scenario}",
                mend="make the suite and the cells anew",
            )
    interventions = folder / "interventions.jsonl"
    texts: dict[str, str] = {}
    if interventions.is_file():
        used.append(interventions.name)
        texts = {item.name: item.text for item in read_records(interventions, Intervention)}
    present = [file for file in extra if (folder / file).is_file()]
    figures = [_figure(path) for path in sorted((folder / "figures").glob("*.svg"), key=_place)]
    used += [*present, *(f"figures/{figure.name}.svg" for figure in figures)]
    return Run(
        name=name,
        suite=suite,
        interventions=texts,
        completions=completions,
        labels=labels,
        notes={judge: note for judge, note in notes.items() if judge in labels},
        table=table,
        tables={file: read_csv(folder / file, ()) for file in present},
        figures=figures,
        digests={file: sha256_file(folder / file) for file in sorted(used)},
    )


def _completions(folder: Path, rows: list[CellRow]) -> tuple[list[Completion], list[str]]:
    wanted = {row.cell_id: row for row in rows}
    files = [f"completions/{model}.jsonl" for model in dict.fromkeys(row.model for row in rows)]
    found = {item.id: item for file in files for item in read_records(folder / file, Completion)}
    for cell_id, row in wanted.items():
        if cell_id not in found:
            raise UserError("no completion of this cell", where=cell_id, mend="score the run again")
        if found[cell_id].completion_sha256 != row.completion_sha256:
            raise UserError(
                "the completion is not the one in cells.csv",
                where=cell_id,
                mend="score the run again",
            )
    return [found[cell_id] for cell_id in wanted], files


def _labels(folder: Path, judge: str, rows: list[CellRow]) -> tuple[dict[str, Label], list[str]]:
    wanted = {row.cell_id: row for row in rows if row.judge == judge}
    models = dict.fromkeys(row.model for row in wanted.values())
    files = [f"labels/{judge}/{model}.jsonl" for model in models]
    found = {item.id: item for file in files for item in read_records(folder / file, Label)}
    for cell_id, row in wanted.items():
        if cell_id not in found or found[cell_id].label != row.label:
            raise UserError(
                "the label is not the one in cells.csv",
                where=f"labels of {judge}: {cell_id}",
                mend="score the run again",
            )
    return {cell_id: found[cell_id] for cell_id in wanted}, files


def _place(path: Path) -> tuple[int, str]:
    first = path.stem in _FIRST_FIGURES
    return (_FIRST_FIGURES.index(path.stem) if first else len(_FIRST_FIGURES), path.stem)


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
