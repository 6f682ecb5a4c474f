"""The tidy table: one row per model, intervention, scenario and judge."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import Field, ValidationError, field_validator

from steerability.protocol.records import (
    HEX_PATTERN,
    Cell,
    Completion,
    FinishReason,
    Label,
    LabelName,
)
from steerability.support.errors import UserError
from steerability.support.jsonl import explain
from steerability.support.tables import read_csv, write_csv


class CellRow(Cell):
    """A row of ``cells.csv``; what the source does not know is None, an empty field in the file."""

    judge: str = Field(min_length=1)
    label: LabelName
    finish_reason: FinishReason | None = None
    prompt_tokens: int | None = Field(default=None, ge=0)
    completion_tokens: int | None = Field(default=None, ge=0)
    completion_sha256: str = Field(pattern=HEX_PATTERN)
    truncated: bool = False
    thinking_cut: bool = False

    @field_validator("finish_reason", "prompt_tokens", "completion_tokens", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value


COLUMNS = (
    *("model", "size", "stage", "intervention", "suite", "category", "scenario", "judge"),
    *("label", "finish_reason", "prompt_tokens", "completion_tokens", "completion_sha256"),
    *("truncated", "thinking_cut"),
)
_REQUIRED = COLUMNS[:13]
_FROM_COMPLETION = tuple(name for name in COLUMNS if name not in ("judge", "label"))


def join(completions: Iterable[Completion], labels: Iterable[Label]) -> list[CellRow]:
    """Join completions and labels by the cell's id.

    Args:
        completions: in the order the rows are to have.
        labels: of any number of judges; a judge need not have labelled every model, but of a
            model it labelled it must have labelled every cell.

    Returns:
        One row per completion and judge: completions in their order, within each the judges in
        the order of their first label.

    Raises:
        UserError: a cell twice, a label twice or of no completion, a cell without a label.
    """
    cells: dict[str, Completion] = {}
    for completion in completions:
        if completion.id in cells:
            raise UserError("the cell is there twice", where=f"completions: {completion.id}")
        cells[completion.id] = completion
    by_judge: dict[str, dict[str, Label]] = {}
    for label in labels:
        where = f"labels of {label.judge}: {label.id}"
        if label.id not in cells:
            raise UserError(
                "no completion has this id", where=where, mend="judge the present completions again"
            )
        of_judge = by_judge.setdefault(label.judge, {})
        if label.id in of_judge:
            raise UserError("the cell is labelled twice", where=where)
        of_judge[label.id] = label
    models_of = {
        judge: {cells[cell_id].model for cell_id in labels} for judge, labels in by_judge.items()
    }
    rows = []
    for cell_id, completion in cells.items():
        judges = [judge for judge in by_judge if completion.model in models_of[judge]]
        if not judges:
            raise UserError(
                f"no judge labelled the model {completion.model}",
                where="labels",
                mend="give the label file of that model",
            )
        for judge in judges:
            if cell_id not in by_judge[judge]:
                raise UserError(
                    f"the judge {judge} labelled {completion.model} but not this cell",
                    where=f"labels: {cell_id}",
                    mend="run the judge over the whole completions file",
                )
            values = {name: getattr(completion, name) for name in _FROM_COMPLETION}
            rows.append(CellRow(judge=judge, label=by_judge[judge][cell_id].label, **values))
    return rows


def write_cells(path: Path, rows: Iterable[CellRow]) -> None:
    """Write ``cells.csv``; truth values as ``true`` and ``false``."""
    write_csv(path, COLUMNS, (_fields(row) for row in rows))


def _fields(row: CellRow) -> dict[str, str | int | None]:
    values = {name: getattr(row, name) for name in COLUMNS}
    return {k: str(v).lower() if isinstance(v, bool) else v for k, v in values.items()}


def read_cells(path: Path) -> list[CellRow]:
    """Return the rows of a ``cells.csv``; columns beyond the known ones are left unread.

    Raises:
        UserError: a column is missing, a value does not fit, a row is there twice, or none is.
    """
    rows = []
    seen: dict[tuple[str, str], int] = {}
    for number, fields in enumerate(read_csv(path, _REQUIRED), start=2):
        where = f"{path} row {number}"
        try:
            row = CellRow.model_validate({k: v for k, v in fields.items() if k in COLUMNS})
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
