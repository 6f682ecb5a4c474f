"""Table 1 beside the published one: every published number, ours, and the difference.

Counts must be equal, rates equal at two decimals, and the gap within 0.01 points: the published
gap is the difference of two rounded rates (arXiv 2601.01584).
"""

from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from steerability.protocol.design import AUTHORISED, DELTA, UNAUTHORISED
from steerability.support.errors import UserError
from steerability.support.tables import Field, parse_number, read_csv

COLUMNS = ("model", "quantity", "published", "here", "difference")
_KEYS = ("model", "size", "stage")
GAPS = (DELTA, AUTHORISED, UNAUTHORISED)
GAP_TOLERANCE = Decimal("0.01")


class Compared(NamedTuple):
    """One published number and ours.

    ``present`` tells whether the run has the interventions that the number is about; ``here`` and
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
        allowed = GAP_TOLERANCE if self.quantity in GAPS else Decimal(0)
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
        table: ``table1.csv`` of a run; it lacks the columns of interventions that the run has not.
        reference: the published figures; its columns are names of columns of ``table``, one of
            them the number of outputs, ``_n``, of every intervention.

    Returns:
        One entry per published number of each model that the table has, in the table's order.

    Raises:
        UserError: a file cannot be read, lacks a column, or the two have no model in common.
    """
    published = {row["model"]: row for row in read_csv(reference, _KEYS)}
    quantities = [name for row in published.values() for name in row if name not in _KEYS]
    quantities = list(dict.fromkeys(quantities))
    rows = read_csv(table, _KEYS)
    columns = rows[0].keys() if rows else ()
    about = _interventions(quantities, columns, reference, table)
    found: list[Compared] = []
    for row in rows:
        theirs = published.get(row["model"])
        if theirs is None:
            continue
        here = {name for name in about if row.get(f"{name}_n") not in (None, "", "0")}
        for quantity in quantities:
            number = parse_number(theirs[quantity], reference, quantity)
            if number is None:
                continue
            ours = parse_number(row.get(quantity, ""), table, quantity)
            # a gap that is not defined is missing only where an intervention is
            present = _about(quantity, about) in here or (
                quantity in GAPS and quantity in row and (ours is not None or here == set(about))
            )
            ours = ours if present else None
            found.append(Compared(row["model"], quantity, number, ours, present))
    if not found:
        raise UserError(
            f"has no model of {', '.join(published) or 'none'}",
            where=table,
            mend=f"compare a run of the published models, or add these to {reference}",
        )
    return found


def _interventions(
    quantities: Sequence[str], columns: Collection[str], reference: Path, table: Path
) -> list[str]:
    """The interventions of the published figures, each with the columns of the table it needs."""
    about = [name.removesuffix("_n") for name in quantities if name.endswith("_n")]
    for quantity in quantities:
        name = _about(quantity, about)
        if name is None and quantity not in GAPS:
            raise UserError(
                f"{quantity} is of no intervention with a column of outputs", where=reference
            )
        if name is not None and f"{name}_n" in columns and quantity not in columns:
            raise UserError(f"lacks the column {quantity}", where=table)
    return about


def _about(quantity: str, interventions: Sequence[str]) -> str | None:
    """The intervention that a published number is about; None for a gap."""
    names = (name for name in interventions if quantity.startswith(f"{name}_"))
    return max(names, key=len, default=None)


def disagreements(compared: Iterable[Compared]) -> str:
    """Return every number that differs beyond rounding, as one line; empty when none does."""
    return ", ".join(
        f"{one.model} {one.quantity} {one.here} (published {one.published})"
        for one in compared
        if not one.agrees
    )


def absent(compared: Sequence[Compared]) -> list[str]:
    """Return the models and interventions without numbers in the table, ``model/intervention``."""
    gone = (one for one in compared if not one.present and one.quantity.endswith("_n"))
    return [f"{one.model}/{one.quantity.removesuffix('_n')}" for one in gone]
