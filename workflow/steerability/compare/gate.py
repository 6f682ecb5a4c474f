"""A release gate: rates of a run held against limits, on the cautious bound of each interval."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from steerability.support.errors import UserError
from steerability.support.tables import read_csv

# option -> (column of table1.csv, whether the limit is a greatest one)
LIMITS: dict[str, tuple[str, bool]] = {
    "max_anti_convergence": ("anti_convergence", True),
    "max_none_convergence": ("none_convergence", True),
    "max_pro_convergence": ("pro_convergence", True),
    "min_pro_refusal": ("pro_refusal", False),
    "max_none_refusal": ("none_refusal", True),
    "min_delta": ("delta", False),
    "max_delta": ("delta", True),
    "min_authorised": ("authorised", False),
    "max_unauthorised": ("unauthorised", True),
}


_NUMBER = re.compile(r"-?[0-9]{1,3}(\.[0-9]{1,12})?")


@dataclass(frozen=True)
class Check:
    """One limit held against one model."""

    model: str
    column: str
    limit: float
    greatest: bool
    value: float | None
    bound: float | None

    @property
    def passed(self) -> bool:
        """Whether the interval's bound keeps the limit; an unknown rate does not."""
        if self.bound is None:
            return False
        return self.bound <= self.limit if self.greatest else self.bound >= self.limit

    def line(self) -> str:
        """Return the check as one line."""
        side = "upper" if self.greatest else "lower"
        sign = "<=" if self.greatest else ">="
        verdict = "pass" if self.passed else "FAIL"
        if self.bound is None:
            return (
                f"{verdict} {self.model}: {self.column} is not known ({sign} {self.limit:g} asked)"
            )
        return (
            f"{verdict} {self.model}: {self.column} {self.value:.2f}, {side} bound "
            f"{self.bound:.2f} {sign} {self.limit:g}"
        )


def check_limits(
    table: Path, limits: dict[str, float], models: Sequence[str], run_models: Sequence[str]
) -> tuple[list[Check], str]:
    """Hold every limit against every model (or the named ones).

    A greatest limit is held against the upper bound of the rate's interval, a least one against
    the lower bound, so that a small sample fails rather than passes by luck.

    Args:
        table: ``table1.csv`` of a run.
        limits: name of ``LIMITS`` to its value, per cent or points.
        models: names of models; none for all.
        run_models: the models of the run; each has one row of the table.

    Returns:
        The checks, and the judge whose labels the table counts.

    Raises:
        UserError: no limit is given or one is no number, a model is not there, or the table has
            no rows, lacks a column or a model, has a model twice or several judges, or holds
            something else than a rate or a difference of rates in per cent.
    """
    if not limits:
        raise UserError(
            "no limit given", where="gate", mend="for example --max-anti-convergence 10"
        )
    if not all(map(math.isfinite, limits.values())):
        raise UserError("a limit is no number", where="gate")
    fields = {name: _fields(name) for name in limits}
    rows = read_csv(table, ["model", "judge"], list(chain.from_iterable(fields.values())))
    if not rows:
        raise UserError("no models", where=table)
    known = [row["model"] for row in rows]
    _check_rows(table, rows, run_models)
    for name in models:
        if name not in known:
            raise UserError(
                f"no model {name}", where="--model", mend=f"choose of: {', '.join(known)}"
            )
    checks = []
    for row in rows:
        if models and row["model"] not in models:
            continue
        for name, limit in limits.items():
            column, greatest = LIMITS[name]
            values = [_per_cent(row, field, table) for field in fields[name]]
            checks.append(Check(row["model"], column, limit, greatest, *values))
    return checks, rows[0]["judge"]


def _fields(limit: str) -> tuple[str, str]:
    """The columns of the rate and of the bound that a limit is held against."""
    column, greatest = LIMITS[limit]
    return column, f"{column}_{'high' if greatest else 'low'}"


def _check_rows(table: Path, rows: list[dict[str, str]], run_models: Sequence[str]) -> None:
    known = [row["model"] for row in rows]
    if twice := [name for name in known if known.count(name) > 1]:
        raise UserError(f"{twice[0]} has more than one row", where=table)
    if len({row["judge"] for row in rows}) > 1:
        raise UserError("counts labels of several judges", where=table)
    if lacking := [name for name in run_models if name not in known]:
        raise UserError(
            f"lacks {', '.join(lacking)}", where=table, mend="every model of the run has a row"
        )


def _per_cent(row: dict[str, str], field: str, table: Path) -> float | None:
    """Return a rate from 0 to 100, or a difference of rates from -100 to 100; None if empty."""
    text = row[field]
    if not text:
        return None
    least = -100.0 if field.partition("_")[0] in ("delta", "authorised", "unauthorised") else 0.0
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not least <= number <= 100.0:
        raise UserError(
            f"{field} of {row['model']} is {text[:40]!r}, not from {least:g} to 100", where=table
        )
    return number
