"""Rates of every outcome: the rows of ``rates.csv`` and ``categories.csv``."""

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from steerability.estimate.bootstrap import percentile_interval
from steerability.estimate.grid import ABSENT, Counted, Grid
from steerability.estimate.rates import (
    Interval,
    clopper_pearson,
    fraction,
    percent_text,
    points_text,
    wilson,
)
from steerability.estimate.resampled import Resampled
from steerability.protocol.design import Design
from steerability.support.tables import Field

Row = dict[str, Field]
RATE_COLUMNS = (
    *("task", "model", "intervention", "judge", "outcome", "n", "valid", "count"),
    *("rate", "low", "high", "size", "stage", "guard", "role", "samples"),
    *("exact_low", "exact_high", "rate_all", "all_low", "all_high"),
    *("all_exact_low", "all_exact_high", "worst_low", "worst_high"),
    *("cut_off", "thinking_cut", "interval", "variance_within", "variance_between"),
)
CATEGORY_COLUMNS = (
    *("task", "model", "intervention", "judge", "category", "outcome", "n", "valid", "count"),
    *("rate", "low", "high", "size", "stage", "guard", "role", "interval"),
)
WILSON, CLUSTERED, WILSON_SCENARIOS = "wilson", "clustered", "wilson_scenarios"


class Bounds(NamedTuple):
    """An interval and how it was made; both bounds are NaN, and the method empty, without one."""

    low: float
    high: float
    method: str

    @property
    def texts(self) -> tuple[str | None, str | None]:
        """The bounds as tables write them."""
        return points_text(self.low), points_text(self.high)


class Spread(NamedTuple):
    """Variance of a yes/no outcome, as a share squared."""

    within: Fraction
    between: Fraction


def variances(counted: Counted) -> Spread | None:
    """Return the variance of an outcome within and between scenarios.

    The method of moments of a one-way layout with unequal numbers: the mean squares within and
    between scenarios, and what of the second the first does not explain, at least 0.
    Source: Searle, Casella and McCulloch (1992), Variance Components, section 3.6.

    Args:
        counted: counts by scenario, shape (scenarios,); one without a counted output is left out.

    Returns:
        None where no scenario has two outputs, or fewer than two have one.
    """
    used = counted.among > 0
    hits = [int(x) for x in counted.hits[used]]
    sizes = [int(x) for x in counted.among[used]]
    k, n = len(sizes), sum(sizes)
    if k < 2 or n == k:
        return None
    squares = sum((Fraction(h * h, m) for h, m in zip(hits, sizes, strict=True)), Fraction(0))
    within = (sum(hits) - squares) / (n - k)
    mean_square = (squares - Fraction(sum(hits) ** 2, n)) / (k - 1)
    size = (n - Fraction(sum(m * m for m in sizes), n)) / (k - 1)
    return Spread(within, max(Fraction(0), (mean_square - within) / size))


def worst_case(grid: Grid, model: int, intervention: str) -> tuple[Fraction, Fraction] | None:
    """Return the least and greatest rate of the event over all outputs, whatever unsure ones are.

    Unsure is an output that is not valid, or that was cut off at a limit (where the source says
    so) or within its thinking (Manski's worst-case bounds). None without an output.
    """
    labels = grid.of(model, intervention)
    chosen = labels != ABSENT
    n = int(chosen.sum())
    if not n:
        return None
    at = grid.interventions.index(intervention)
    event = chosen & (labels == grid.code(grid.scale.event))
    cut = (grid.cut[model, at] == 1) | grid.thinking_cut[model, at]
    unsure = chosen & (~grid.valid(labels) | cut)
    certain, possible = (event & ~unsure).sum(), (event | unsure).sum()
    return Fraction(int(certain), n), Fraction(int(possible), n)


def rate_rows(resampled: Resampled, design: Design, confidence: float) -> Iterator[Row]:
    """Return the rows of one model: every intervention with an output, every outcome.

    Args:
        resampled: a model's labels and resamples.
        design: roles of interventions.
        confidence: of the intervals.
    """
    grid, model = resampled.grid, resampled.model
    for intervention in resampled.interventions:
        labels = grid.of(model, intervention)
        chosen = labels != ABSENT
        at = grid.interventions.index(intervention)
        cut = grid.cut[model, at][chosen]
        worst = worst_case(grid, model, intervention)
        row = _who(grid, model, intervention, design)
        row |= {
            "n": int(chosen.sum()),
            "valid": int(grid.valid(labels).sum()),
            "samples": grid.samples,
            "cut_off": int((cut == 1).sum()) if (cut != ABSENT).all() else None,
            "thinking_cut": int(grid.thinking_cut[model, at][chosen].sum()),
        }
        for outcome in grid.scale.labels:
            of_event = outcome == grid.scale.event
            yield (
                row
                | {"outcome": outcome}
                | _rate(resampled, intervention, outcome, confidence)
                | _event_only(resampled, intervention, worst if of_event else None)
            )


def _rate(resampled: Resampled, intervention: str, outcome: str, confidence: float) -> Row:
    row: Row = {}
    for prefix, over_all in (("", False), ("all_", True)):
        counted = resampled.grid.counted(resampled.model, intervention, outcome, over_all=over_all)
        part, whole = counted.totals
        bounds = rate_bounds(resampled, intervention, outcome, confidence, over_all=over_all)
        exact = clopper_pearson(part, whole, confidence) if resampled.grid.samples == 1 else None
        low, high = exact or (np.nan, np.nan)
        rate = percent_text(fraction(part, whole))
        row |= {"rate_all" if over_all else "rate": rate}
        row |= {f"{prefix}low": bounds.texts[0], f"{prefix}high": bounds.texts[1]}
        row |= {f"{prefix}exact_low": points_text(low), f"{prefix}exact_high": points_text(high)}
        if not over_all:
            row |= {"count": part, "interval": bounds.method or None}
    return row


def rate_bounds(
    resampled: Resampled,
    intervention: str,
    outcome: str,
    confidence: float,
    *,
    over_all: bool = False,
) -> Bounds:
    """Return the interval of one rate.

    Of one sample a scenario, Wilson's. Of several, the bootstrap's over scenarios, whose outputs
    stay together; and where every resample agrees Wilson's with the number of scenarios in place
    of that of outputs, as if a scenario's outputs were one.

    Args:
        resampled: a model's labels and resamples.
        intervention: one under which it has an output.
        outcome: an outcome or ``judge_failed``.
        confidence: of the interval.
        over_all: over all outputs in place of valid ones.
    """
    grid, model = resampled.grid, resampled.model
    counted = grid.counted(model, intervention, outcome, over_all=over_all)
    part, whole = counted.totals
    if grid.samples == 1:
        return _bounds(wilson(part, whole, confidence), WILSON)
    draws = resampled.draws(intervention, outcome, over_all=over_all)
    low, high = percentile_interval(draws, confidence)
    if not np.isnan(low):
        return Bounds(low, high, CLUSTERED)
    scenarios = int((counted.among > 0).sum())
    share = part * scenarios / whole if whole else 0
    return _bounds(wilson(share, scenarios, confidence), WILSON_SCENARIOS)


def _bounds(interval: Interval | None, method: str) -> Bounds:
    return Bounds(*interval, method) if interval else Bounds(np.nan, np.nan, "")


def _event_only(
    resampled: Resampled, intervention: str, worst: tuple[Fraction, Fraction] | None
) -> Row:
    """What is given of the event only; empty for another outcome, whose ``worst`` is None."""
    names = ("worst_low", "worst_high", "variance_within", "variance_between")
    row: Row = dict.fromkeys(names)
    if worst is None:
        return row
    row |= {"worst_low": percent_text(worst[0]), "worst_high": percent_text(worst[1])}
    spread = variances(resampled.grid.counted(resampled.model, intervention))
    if resampled.grid.samples > 1 and spread is not None:
        row["variance_within"] = f"{float(spread.within):.6f}"
        row["variance_between"] = f"{float(spread.between):.6f}"
    return row


def category_rows(resampled: Resampled, design: Design, confidence: float) -> Iterator[Row]:
    """Return the rows of one model: every category, intervention and outcome with an output."""
    for category in resampled.grid.category_names:
        within = resampled.within(category)
        grid, model = within.grid, within.model
        for intervention in within.interventions:
            labels = grid.of(model, intervention)
            row = _who(grid, model, intervention, design) | {"category": category}
            row |= {"n": int((labels != ABSENT).sum()), "valid": int(grid.valid(labels).sum())}
            for outcome in grid.scale.labels:
                counted = grid.counted(model, intervention, outcome)
                bounds = rate_bounds(within, intervention, outcome, confidence)
                part, whole = counted.totals
                yield (
                    row
                    | {
                        "outcome": outcome,
                        "count": part,
                        "rate": percent_text(fraction(part, whole)),
                        "low": bounds.texts[0],
                        "high": bounds.texts[1],
                        "interval": bounds.method or None,
                    }
                )


def _who(grid: Grid, model: int, intervention: str, design: Design) -> Row:
    return {
        "task": grid.task,
        "model": grid.models[model].name,
        "intervention": intervention,
        "judge": grid.judge,
        "size": grid.models[model].size,
        "stage": grid.models[model].stage,
        "guard": grid.guard,
        "role": design.role(intervention),
    }
