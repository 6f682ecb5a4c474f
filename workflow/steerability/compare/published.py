"""Table 1 beside the published one: every published number, ours, and the difference.

Counts must be equal, rates equal at two decimals, and the gap within 0.01 points: the published
gap is the difference of two rounded rates (arXiv 2601.01584).
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from steerability.support.errors import UserError
from steerability.support.tables import Field, parse_number, read_csv

COLUMNS = ("model", "quantity", "published", "here", "difference")
_KEYS = ("model", "size", "stage")
GAP_TOLERANCE = Decimal("0.01")


class Compared(NamedTuple):
    """One published number and ours.

    ``present`` tells whether the run has the conditions that the number is about; ``here`` and
    ``difference`` are None where it has not, or where the number is not defined.
    """

    model: str
    quantity: str
    published: Decimal
    here: Decimal | None
    present: bool

    @property
    def difference(self) -> Decimal | None:
        """Ours minus the published number."""
        return None if self.here is None else self.here - self.published

    @property
    def agrees(self) -> bool:
        """Whether the two differ by no more than rounding; what is not present cannot."""
        if self.difference is None:
            return not self.present
        allowed = GAP_TOLERANCE if self.quantity == "delta" else Decimal(0)
        return abs(self.difference) <= allowed

    def row(self) -> dict[str, Field]:
        """Return the row of ``comparison.csv``."""
        texts = (
            None if x is None else str(x) for x in (self.published, self.here, self.difference)
        )
        return dict(zip(COLUMNS, (self.model, self.quantity, *texts), strict=True))


def compare(table: Path, reference: Path) -> list[Compared]:
    """Compare Table 1 with the published one, model by model.

    Args:
        table: ``table1.csv`` of a run.
        reference: the published figures; its columns are names of columns of ``table``.

    Returns:
        One entry per published number of each model that the table has, in the table's order.

    Raises:
        UserError: a file cannot be read, lacks a column, or the two have no model in common.
    """
    published = {row["model"]: row for row in read_csv(reference, _KEYS)}
    quantities = [name for row in published.values() for name in row if name not in _KEYS]
    quantities = list(dict.fromkeys(quantities))
    outputs = dict.fromkeys(f"{about}_n" for name in quantities for about in _conditions(name))
    rows = read_csv(table, (*_KEYS, *quantities, *outputs))
    found: list[Compared] = []
    for row in rows:
        theirs = published.get(row["model"])
        if theirs is None:
            continue
        for quantity in quantities:
            number = parse_number(theirs[quantity], reference, quantity)
            if number is None:
                continue
            present = all(row[f"{about}_n"] not in ("", "0") for about in _conditions(quantity))
            ours = parse_number(row[quantity], table, quantity) if present else None
            found.append(Compared(row["model"], quantity, number, ours, present))
    if not found:
        raise UserError(
            f"has no model of {', '.join(published) or 'none'}",
            where=table,
            mend=f"compare a run of the published models, or add these to {reference}",
        )
    return found


def disagreements(compared: Iterable[Compared]) -> str:
    """Return every number that differs beyond rounding, as one line; empty when none does."""
    return ", ".join(
        f"{one.model} {one.quantity} {one.here} (published {one.published})"
        for one in compared
        if not one.agrees
    )


def absent(compared: Sequence[Compared]) -> list[str]:
    """Return the models and conditions that the table has no numbers of, as ``model/condition``."""
    gone = (one for one in compared if not one.present and one.quantity.endswith("_n"))
    return [f"{one.model}/{one.quantity.removesuffix('_n')}" for one in gone]


def _conditions(quantity: str) -> tuple[str, ...]:
    """The conditions that a published number is about."""
    return ("pro", "anti") if quantity == "delta" else (quantity.partition("_")[0],)
