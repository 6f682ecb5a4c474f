"""A release gate: a run's estimates held against limits, on the cautious bound of each interval."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from steerability.support.errors import UserError
from steerability.support.tables import read_csv

_NUMBERS = ("low", "high")
_RATES = ("task", "model", "intervention", "judge", "outcome", "guard")
_CONTRASTS = (
    *("task", "model", "contrast", "intervention_a", "intervention_b"),
    *("measure", "judge", "guard"),
)
_FORM = re.compile(
    r"(?:(?P<task>[\w.-]+)/)?(?P<quantity>[\w.-]+)(?:@(?P<intervention>[\w.-]+))?"
    r"\s*(?P<sign><=|>=)\s*(?P<value>[+-]?\d+(?:\.\d+)?)",
    re.ASCII,
)
Estimate = Mapping[str, str]


@dataclass(frozen=True)
class Limit:
    """A limit: of an outcome's rate under an intervention, or of a contrast.

    Attributes:
        task: the task's name; None: the first one that has the quantity.
        quantity: an outcome, or a contrast.
        intervention: of a rate; of a contrast one of its two interventions, None for any.
        greatest: whether the limit is a greatest one.
        value: per cent, points or nats.
    """

    task: str | None
    quantity: str
    intervention: str | None
    greatest: bool
    value: float

    @property
    def name(self) -> str:
        """The quantity as the limit writes it."""
        task = f"{self.task}/" if self.task else ""
        return f"{task}{self.quantity}" + (f"@{self.intervention}" if self.intervention else "")


def parse_limit(text: str) -> Limit:
    """Return the limit that ``[TASK/]OUTCOME@INTERVENTION<=X`` or ``[TASK/]CONTRAST>=X`` gives.

    Raises:
        UserError: it has another form.
    """
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise UserError(
            f"{text!r} is no limit",
            where="--limit",
            mend="for example 'convergence@anti<=10' or 'delta>=40'",
        )
    return Limit(
        found["task"],
        found["quantity"],
        found["intervention"],
        found["sign"] == "<=",
        float(found["value"]),
    )


_NUMBER = re.compile(r"-?[0-9]{1,3}(\.[0-9]{1,12})?")


@dataclass(frozen=True)
class Check:
    """One limit held against one estimate of one model; unknown numbers are None."""

    model: str
    quantity: str
    limit: Limit
    value: float | None
    bound: float | None

    @property
    def passed(self) -> bool:
        """Whether the interval's bound keeps the limit; an unknown estimate does not."""
        if self.bound is None:
            return False
        kept = (
            self.bound <= self.limit.value
            if self.limit.greatest
            else (self.bound >= self.limit.value)
        )
        return kept

    def line(self) -> str:
        """Return the check as one line."""
        side = "upper" if self.limit.greatest else "lower"
        sign = "<=" if self.limit.greatest else ">="
        verdict = "pass" if self.passed else "FAIL"
        start = f"{verdict} {self.model}: {self.quantity}"
        if self.bound is None:
            return f"{start} is not known ({sign} {self.limit.value:g} asked)"
        return (
            f"{start} {self.value:.2f}, {side} bound {self.bound:.2f} {sign} {self.limit.value:g}"
        )


def check_limits(
    folder: Path, limits: Sequence[Limit], models: Sequence[str], run_models: Sequence[str] = ()
) -> tuple[list[Check], str]:
    """Hold every limit against every model (or the named ones), by each task's primary judge.

    A greatest limit is held against the upper bound of the estimate's interval, a least one
    against the lower bound, so that a small sample fails rather than passes by luck. A model
    without the outputs that a limit is about fails it.

    Args:
        folder: of a run, with ``rates.csv`` and ``contrasts.csv``.
        limits: at least one.
        models: names of models; none for all.
        run_models: the models of the run; each has one row of the table.

    Returns:
        The checks, and the judges whose labels they count, by commas.

    Raises:
        UserError: no limit is given, a model, outcome, intervention or contrast is not there, or a
            table lacks a column or a model of the run, has a row twice, or holds something else
            than a number that its column can have.
    """
    if not limits:
        raise UserError(
            "no limit given", where="gate", mend="for example --limit 'convergence@anti<=10'"
        )
    rates = read_csv(folder / "rates.csv", _RATES, ("rate", *_NUMBERS))
    contrasts = read_csv(folder / "contrasts.csv", _CONTRASTS, ("estimate", *_NUMBERS))
    _check_rows(folder / "rates.csv", rates, _RATES, ("rate", *_NUMBERS))
    _check_rows(folder / "contrasts.csv", contrasts, _CONTRASTS, ("estimate", *_NUMBERS))
    known = list(dict.fromkeys(row["model"] for row in (*rates, *contrasts)))
    if not known:
        raise UserError("no models", where=folder / "rates.csv")
    if lacking := [name for name in run_models if name not in known]:
        raise UserError(
            f"lacks {', '.join(lacking)}",
            where=folder / "rates.csv",
            mend="every model of the run has rows",
        )
    for name in models:
        if name not in known:
            raise UserError(
                f"no model {name}", where="--model", mend=f"choose of: {', '.join(known)}"
            )
    checks: list[Check] = []
    judges: dict[str, None] = {}
    for limit in limits:
        contrast = limit.quantity in {row["contrast"] for row in contrasts}
        rows = _of_contrast(contrasts, limit) if contrast else _of_rate(rates, limit)
        column = "estimate" if contrast else "rate"
        judges |= dict.fromkeys(row["judge"] for row in rows if row["judge"])
        for model in models or known:
            checks += _checks(model, [row for row in rows if row["model"] == model], limit, column)
    return checks, ", ".join(judges) or "none"


def _checks(model: str, rows: Sequence[Estimate], limit: Limit, column: str) -> Iterator[Check]:
    if not rows:
        yield Check(model, limit.name, limit, None, None)
    for row in rows:
        quantity = limit.name
        if column == "estimate":
            quantity += f" ({row['intervention_a']} - {row['intervention_b']})"
        quantity += f" behind {row['guard']}" if row["guard"] else ""
        end = row["high" if limit.greatest else "low"]
        value = float(row[column]) if row[column] else None
        bound = float(end) if end and value is not None else None
        yield Check(model, quantity, limit, value, bound)


def _of_rate(rates: Sequence[Estimate], limit: Limit) -> list[Estimate]:
    """The rates that a limit is about: of its task, or the first task that has them."""
    found = [
        row
        for row in rates
        if (row["outcome"], row["intervention"]) == (limit.quantity, limit.intervention)
    ]
    kinds = {f"{row['outcome']}@{row['intervention']}" for row in rates}
    return _of_task(found, rates, limit, sorted(kinds))


def _of_contrast(contrasts: Sequence[Estimate], limit: Limit) -> list[Estimate]:
    """The contrasts that a limit is about, in each task's own event or log-odds."""
    own: dict[str, str] = {}
    for row in contrasts:
        own.setdefault(row["task"], row["measure"])
    found = [
        row
        for row in contrasts
        if row["contrast"] == limit.quantity
        and row["measure"] == own[row["task"]]
        and limit.intervention in (None, row["intervention_a"], row["intervention_b"])
    ]
    return _of_task(found, contrasts, limit, sorted({row["contrast"] for row in contrasts}))


def _of_task(
    found: Sequence[Estimate], every: Sequence[Estimate], limit: Limit, known: Sequence[str]
) -> list[Estimate]:
    """Rows of one task and its primary judge, which is the first."""
    tasks = list(dict.fromkeys(row["task"] for row in found))
    if limit.task is not None:
        tasks = [name for name in tasks if name == limit.task]
    if not tasks:
        raise UserError(
            f"the run has no {limit.name}", where="--limit", mend=f"choose of: {', '.join(known)}"
        )
    judge = next(row["judge"] for row in every if row["task"] == tasks[0])
    return [row for row in found if (row["task"], row["judge"]) == (tasks[0], judge)]


def _check_rows(
    table: Path, rows: Sequence[Estimate], keys: Sequence[str], numbers: Sequence[str]
) -> None:
    """Check that no row is there twice and that percentages and points can be such."""
    seen: set[tuple[str, ...]] = set()
    for row in rows:
        key = tuple(row[name] for name in keys)
        if key in seen:
            raise UserError(f"{' '.join(filter(None, key))} has more than one row", where=table)
        seen.add(key)
        if row.get("measure", "").startswith("log_odds"):
            continue
        least = -100.0 if "contrast" in keys else 0.0
        for name in numbers:
            text = row[name]
            number = float(text) if _NUMBER.fullmatch(text) else math.nan
            if text and not least <= number <= 100.0:
                raise UserError(
                    f"{name} of {row['model']} is {text[:40]!r}, not from {least:g} to 100",
                    where=table,
                )
