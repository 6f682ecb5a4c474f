"""Two sets of outputs, and of labels, compared cell by cell."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from pydantic import BaseModel, ConfigDict
from statsmodels.stats.proportion import proportion_confint

from steerability.support.errors import UserError
from steerability.support.jsonl import read_records

_LEVEL = 0.05


class Text(BaseModel):
    """An output of ``generate`` (``text``) or a row of ``assemble`` (``response``)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    text: str | None = None
    response: str | None = None

    @property
    def answer(self) -> str:
        """The answer, whichever field holds it."""
        return self.text if self.text is not None else self.response or ""


class Verdict(BaseModel):
    """A label line; further fields are let through unread."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    label: str


def by_cell(files: Sequence[Path], record: type[Text] | type[Verdict]) -> dict[str, Any]:
    """Read files and name their lines by cell without its model: ``intervention/scenario``.

    Raises:
        UserError: a cell comes twice.
    """
    found: dict[str, Any] = {}
    for file in files:
        for line in read_records(file, record):
            cell = line.id.partition("/")[2] if line.id.count("/") == 2 else line.id
            if cell in found:
                raise UserError(f"cell {cell} comes twice", where=file, mend="compare one model")
            found[cell] = line
    return found


def paired(first: Mapping[str, Any], second: Mapping[str, Any], what: str) -> list[str]:
    """Return the cells of both sides.

    Raises:
        UserError: a cell is on one side only.
    """
    alone = sorted(set(first) ^ set(second))
    if alone:
        side = "first" if alone[0] in first else "second"
        raise UserError(
            f"{what} of {alone[0]} are on the {side} side only ({len(alone)} such cells)",
            mend="compare two runs of the same plan",
        )
    if not first:
        raise UserError(f"no {what} to compare", mend="name files that hold some")
    return list(first)


def rate(changed: int, cells: int) -> dict[str, Any]:
    """Return a count with its share and the 95 % Wilson interval of it."""
    low, high = proportion_confint(changed, cells, _LEVEL, "wilson")
    return {
        "cells": cells,
        "changed": changed,
        "share": round(changed / cells, 6),
        "interval": [round(float(low), 6), round(float(high), 6)],
    }


def compare_texts(first: Mapping[str, Text], second: Mapping[str, Text]) -> dict[str, Any]:
    """Return how many answers differ, by intervention too, and where they part.

    ``parts_at`` is the median number of characters that two different answers have in common
    at their beginning.
    """
    cells = paired(first, second, "outputs")
    changed = [cell for cell in cells if first[cell].answer != second[cell].answer]
    result = rate(len(changed), len(cells))
    result["by_intervention"] = _by_intervention(cells, changed)
    common = [_common(first[cell].answer, second[cell].answer) for cell in changed]
    result["parts_at"] = median(common) if common else None
    return result


def compare_labels(first: Mapping[str, Verdict], second: Mapping[str, Verdict]) -> dict[str, Any]:
    """Return how many labels differ, by intervention too, and which became which."""
    cells = paired(first, second, "labels")
    changed = [cell for cell in cells if first[cell].label != second[cell].label]
    result = rate(len(changed), len(cells))
    result["by_intervention"] = _by_intervention(cells, changed)
    moves = Counter((first[cell].label, second[cell].label) for cell in changed)
    result["moves"] = [
        {"from": old, "to": new, "cells": count} for (old, new), count in sorted(moves.items())
    ]
    return result


def _by_intervention(cells: Sequence[str], changed: Sequence[str]) -> dict[str, Any]:
    wanted = Counter(cell.partition("/")[0] for cell in cells if "/" in cell)
    found = Counter(cell.partition("/")[0] for cell in changed)
    return {name: rate(found[name], count) for name, count in sorted(wanted.items())}


def _common(first: str, second: str) -> int:
    pairs = zip(first, second, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))
