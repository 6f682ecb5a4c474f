"""The tidy table of labels: one row per cell and judge."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from pydantic import Field, TypeAdapter, ValidationError, field_validator

from steerability.protocol.base import Digest, Name
from steerability.protocol.cell import Cell
from steerability.protocol.label import Label
from steerability.protocol.request import FinishReason
from steerability.protocol.response import Response
from steerability.protocol.scale import Scale
from steerability.support.errors import UserError
from steerability.support.jsonl import explain
from steerability.support.tables import read_csv, write_csv


class ModelFacts(NamedTuple):
    """What tables say of a model besides its name."""

    size: str
    stage: str


def read_model_facts(text: str) -> dict[str, ModelFacts]:
    """Return the size and stage of models from a verb's ``--models``.

    Args:
        text: JSON, ``{MODEL: [SIZE, STAGE]}``.

    Raises:
        UserError: it is no JSON or does not fit.
    """
    try:
        return TypeAdapter(dict[str, ModelFacts]).validate_json(text)
    except ValidationError as error:
        raise UserError(explain(error), where="--models") from error


class Joined(NamedTuple):
    """The small tables that are joined to cells.

    Attributes:
        models: size and stage by model.
        suites: name of the suite by task.
        categories: category by task and scenario.
        scales: scale of the labels by task; a task that is not in it takes any label.
    """

    models: Mapping[str, ModelFacts]
    suites: Mapping[str, str]
    categories: Mapping[tuple[str, str], str]
    scales: Mapping[str, Scale] = MappingProxyType({})


class CellRow(Cell):
    """A row of ``cells.csv``; what the source does not know is None, an empty field in the file."""

    size: str
    stage: str
    suite: str
    category: Name
    judge: str = Field(min_length=1)
    label: str = Field(min_length=1)
    finish_reason: FinishReason | None = None
    prompt_tokens: int | None = Field(default=None, ge=0)
    completion_tokens: int | None = Field(default=None, ge=0)
    completion_sha256: Digest
    truncated: bool = False
    thinking_cut: bool = False

    @field_validator("finish_reason", "prompt_tokens", "completion_tokens", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value


COLUMNS = (
    *("model", "size", "stage", "intervention", "suite", "category", "scenario", "judge"),
    *("label", "finish_reason", "prompt_tokens", "completion_tokens", "completion_sha256"),
    *("task", "sample", "guard", "truncated", "thinking_cut"),
)
_REQUIRED = COLUMNS[:13]
_OF_RESPONSE = (
    *("model", "intervention", "scenario", "task", "sample", "guard"),
    *("finish_reason", "prompt_tokens", "completion_tokens", "completion_sha256"),
    *("truncated", "thinking_cut"),
)


def join(responses: Iterable[Response], labels: Iterable[Label], tables: Joined) -> list[CellRow]:
    """Join responses, labels and the small tables by their names.

    Args:
        responses: in the order the rows are to have.
        labels: of any number of judges; a judge need not have labelled every task and model, but
            of a task and model that it labelled it must have labelled every cell.
        tables: see ``Joined``.

    Returns:
        One row per response and judge: responses in their order, within each the judges in the
        order of their first label.

    Raises:
        UserError: a cell twice, a label twice, of no response or off its scale, a cell without a
            label, a model or scenario that no table knows.
    """
    cells: dict[str, Response] = {}
    for response in responses:
        if response.id in cells:
            raise UserError("the cell is there twice", where=f"responses: {response.id}")
        cells[response.id] = response
    by_judge: dict[str, dict[str, Label]] = {}
    for label in labels:
        where = f"labels of {label.judge}: {label.id}"
        if label.id not in cells:
            raise UserError(
                "no response has this id", where=where, mend="judge the present responses again"
            )
        of_judge = by_judge.setdefault(label.judge, {})
        if label.id in of_judge:
            raise UserError("the cell is labelled twice", where=where)
        scale = tables.scales.get(cells[label.id].task)
        if scale is not None and label.label not in scale.labels:
            raise UserError(
                f"{label.label} is no label of the scale {scale.name}",
                where=where,
                mend="let the judge use the task's scale",
            )
        of_judge[label.id] = label
    labelled = {
        judge: {(cells[name].task, cells[name].model) for name in labels}
        for judge, labels in by_judge.items()
    }
    rows = []
    for name, response in cells.items():
        place = (response.task, response.model)
        judges = [judge for judge in by_judge if place in labelled[judge]]
        if not judges:
            raise UserError(
                f"no judge labelled the model {response.model} in the task {response.task}",
                where="labels",
                mend="give the label file of that model",
            )
        of_cell = _joined(response, tables)
        for judge in judges:
            if name not in by_judge[judge]:
                raise UserError(
                    f"the judge {judge} labelled {response.model} but not this cell",
                    where=f"labels: {name}",
                    mend="run the judge over the whole responses file",
                )
            rows.append(CellRow(judge=judge, label=by_judge[judge][name].label, **of_cell))
    return rows


def _joined(response: Response, tables: Joined) -> dict[str, object]:
    place = (response.task, response.scenario)
    for what, name, known in (
        ("model", response.model, response.model in tables.models),
        ("task", response.task, response.task in tables.suites),
        ("scenario", response.scenario, place in tables.categories),
    ):
        if not known:
            raise UserError(f"no table knows the {what} {name}", where=response.id)
    facts = tables.models[response.model]
    return {
        **{name: getattr(response, name) for name in _OF_RESPONSE},
        "size": facts.size,
        "stage": facts.stage,
        "suite": tables.suites[response.task],
        "category": tables.categories[place],
    }


def write_cells(path: Path, rows: Iterable[CellRow]) -> None:
    """Write ``cells.csv``; truth values as ``true`` and ``false``."""
    write_csv(path, COLUMNS, (_fields(row) for row in rows))


def _fields(row: CellRow) -> dict[str, str | int | None]:
    values = {name: getattr(row, name) for name in COLUMNS}
    return {k: str(v).lower() if isinstance(v, bool) else v for k, v in values.items()}


def read_cells(path: Path) -> list[CellRow]:
    """Return the rows of a ``cells.csv``; columns beyond the known ones are left unread.

    A table of the first edition, without task, sample and guard, is of the task ``behaviour``.

    Raises:
        UserError: a column is missing, a value does not fit, a row is there twice, or none is.
    """
    rows = []
    seen: dict[tuple[str, str], int] = {}
    read = read_csv(path, _REQUIRED)
    known = [name for name in COLUMNS if read and name in read[0]]
    for number, fields in enumerate(read, start=2):
        where = f"{path} row {number}"
        try:
            row = CellRow.model_validate({name: fields[name] for name in known})
        except ValidationError as error:
            raise UserError(explain(error), where=where) from error
        key = (row.cell_id, row.judge)
        if key in seen:
            raise UserError(f"the cell and judge of row {seen[key]} again", where=where)
        seen[key] = number
        rows.append(row)
    if not rows:
        raise UserError("no cells", where=path)
    return rows


def judges_of(rows: Sequence[CellRow]) -> tuple[str, ...]:
    """Return the judges in the order of their first row."""
    return tuple(dict.fromkeys(row.judge for row in rows))


def tasks_of(rows: Sequence[CellRow]) -> tuple[str, ...]:
    """Return the tasks in the order of their first row."""
    return tuple(dict.fromkeys(row.task for row in rows))
