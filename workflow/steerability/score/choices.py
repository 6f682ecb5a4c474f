"""The tidy table of choices: one row per cell, log-odds of its two answers."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import Field, ValidationError

from steerability.protocol.base import Name
from steerability.protocol.cell import Cell
from steerability.protocol.response import Choice
from steerability.support.errors import UserError
from steerability.support.jsonl import explain
from steerability.support.tables import Field as Value
from steerability.support.tables import read_csv, write_csv

COLUMNS = (
    *("task", "model", "intervention", "scenario", "category", "log_odds", "log_odds_per_token"),
    *("prompt_tokens", "key", "sample", "guard"),
)
_REQUIRED = COLUMNS[:9]


class ChoiceRow(Cell):
    """A row of ``choices.csv``.

    Attributes:
        log_odds: log-probability of the answer that is the event minus that of the other, over
            all tokens, in nats.
        log_odds_per_token: difference of the two means per token, in nats.
    """

    category: Name
    log_odds: float = Field(allow_inf_nan=False)
    log_odds_per_token: float = Field(allow_inf_nan=False)
    prompt_tokens: int | None = Field(default=None, ge=0)
    key: str


def row_of(choice: Choice, category: str) -> ChoiceRow:
    """Return the row of a choice; sums by ``math.fsum``, so that no order of additions shows."""
    event, other = (math.fsum(scores) for scores in choice.scores)
    lengths = [len(scores) for scores in choice.scores]
    return ChoiceRow(
        **{name: getattr(choice, name) for name in Cell.model_fields},
        category=category,
        log_odds=event - other,
        log_odds_per_token=event / lengths[0] - other / lengths[1],
        prompt_tokens=choice.prompt_tokens,
        key=choice.key,
    )


def rows_of(
    choices: Iterable[Choice], categories: Mapping[tuple[str, str], str]
) -> list[ChoiceRow]:
    """Return the rows of choices, in their order.

    Args:
        choices: the cells.
        categories: category by task and scenario.

    Raises:
        UserError: a cell comes twice, or no table knows its scenario.
    """
    rows: dict[str, ChoiceRow] = {}
    for choice in choices:
        place = (choice.task, choice.scenario)
        if choice.id in rows:
            raise UserError("the cell is there twice", where=f"choices: {choice.id}")
        if place not in categories:
            raise UserError(f"no table knows the scenario {choice.scenario}", where=choice.id)
        rows[choice.id] = row_of(choice, categories[place])
    return list(rows.values())


def write_choices(path: Path, rows: Iterable[ChoiceRow]) -> None:
    """Write ``choices.csv``, log-odds to six decimals."""
    write_csv(path, COLUMNS, (_fields(row) for row in rows))


def _fields(row: ChoiceRow) -> dict[str, Value]:
    values: dict[str, Value] = {name: getattr(row, name) for name in COLUMNS}
    for name in ("log_odds", "log_odds_per_token"):
        values[name] = f"{getattr(row, name):.6f}"
    return values


def read_choices(path: Path) -> list[ChoiceRow]:
    """Return the rows of a ``choices.csv``.

    Raises:
        UserError: a column is missing, a value does not fit, or a row is there twice.
    """
    rows: dict[str, ChoiceRow] = {}
    for number, fields in enumerate(read_csv(path, _REQUIRED), start=2):
        where = f"{path} row {number}"
        known = {k: v for k, v in fields.items() if k in COLUMNS}
        known["prompt_tokens"] = known["prompt_tokens"] or None  # type: ignore[assignment]
        try:
            row = ChoiceRow.model_validate(known)
        except ValidationError as error:
            raise UserError(explain(error), where=where) from error
        if row.cell_id in rows:
            raise UserError(f"the cell {row.cell_id} again", where=where)
        rows[row.cell_id] = row
    return list(rows.values())
