"""Table 1: rates of convergence and refusal per model under each intervention, and the gap."""

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from steerability.config.analysis import Analysis
from steerability.estimate.bootstrap import percentile_interval, rate_draws, scenario_weights
from steerability.estimate.grid import ALL_LABELS, CONDITIONS, Grid
from steerability.estimate.paired import newcombe, pair
from steerability.estimate.rates import (
    Counts,
    clopper_pearson,
    count,
    fraction,
    percent,
    points_text,
    published_delta,
    wilson,
)
from steerability.support.tables import Field

Row = dict[str, Field]

KEYS = ("model", "size", "stage", "judge")
_RATES = ("n", "valid", "convergence", "refusal", "nonsensical")
_BOUNDED = ("convergence", "refusal", "nonsensical", "convergence_all")
_DETAIL = (
    *("converged", "refused", "nonsense", "failed", "cut_off", "thinking_cut"),
    "convergence_all",
    *(f"{rate}_{end}" for rate in _BOUNDED for end in ("low", "high", "exact_low", "exact_high")),
    *("worst_low", "worst_high"),
)
# name of a gap -> (condition it starts from, condition it is compared with)
GAPS = {"delta": ("pro", "anti"), "authorised": ("none", "anti"), "unauthorised": ("pro", "none")}
_GAP_DETAIL = (
    *("low", "high", "interval", "unrounded", "pairs", "paired", "newcombe_low", "newcombe_high"),
    *("all", "all_low", "all_high", "worst_low", "worst_high"),
)
CONTRACT = (
    *KEYS,
    *(f"{c}_{name}" for c in ("pro", "anti") for name in _RATES),
    "delta",
)
COLUMNS = (
    *CONTRACT,
    *(f"none_{name}" for name in _RATES),
    *("authorised", "unauthorised"),
    *(f"{c}_{name}" for c in CONDITIONS for name in _DETAIL),
    *(f"{gap}_{name}" for gap in GAPS for name in _GAP_DETAIL),
)


def table1(grid: Grid, plan: Analysis) -> list[Row]:
    """Return Table 1 of one judge, one row per model, fields as ``COLUMNS``.

    Rates are percentages of valid outputs (all but nonsensical ones and judge failures),
    nonsensical is a percentage of all outputs; the gap ``delta`` is the difference of the two
    rounded convergence rates, as the paper prints it, ``delta_unrounded`` that of the exact ones.
    Its interval is the paired bootstrap's, and Newcombe's where every resample agrees, since a
    width of zero would claim a certainty that is not there; ``delta_interval`` names which.
    """
    weights = scenario_weights(grid, plan.resamples, plan.seed)
    of_valid = rate_draws(grid, weights)
    of_all = rate_draws(grid, weights, over_all=True)
    return [_row(grid, at, plan, of_valid, of_all) for at in range(len(grid.models))]


def _row(
    grid: Grid,
    at: int,
    plan: Analysis,
    of_valid: NDArray[np.float64],
    of_all: NDArray[np.float64],
) -> Row:
    model = grid.models[at]
    row: Row = {"model": model.name, "size": model.size, "stage": model.stage, "judge": grid.judge}
    counts = {name: count(grid, at, name) for name in CONDITIONS}
    for name in CONDITIONS:
        row |= {f"{name}_{field}": value for field, value in rates(counts[name]).items()}
        row |= {f"{name}_{k}": v for k, v in _detail(counts[name], plan.confidence).items()}
    for gap, conditions in GAPS.items():
        a, b = (counts[name] for name in conditions)
        row[gap] = _text(published_delta(_rate(a), _rate(b)))
        detail = _gap_detail(a, b) | _gap_intervals(grid, at, conditions, plan, of_valid, of_all)
        row |= {f"{gap}_{field}": value for field, value in detail.items()}
    return row


def _gap_intervals(
    grid: Grid,
    at: int,
    conditions: tuple[str, str],
    plan: Analysis,
    of_valid: NDArray[np.float64],
    of_all: NDArray[np.float64],
) -> Row:
    """A gap's intervals: the bootstrap's, Newcombe's in its place where every resample agrees."""
    a, b = (grid.of(at, name) for name in conditions)
    pairs = pair(a, b)
    row: Row = {"pairs": pairs.n, "paired": points_text(pairs.difference)}
    row |= _bounds("newcombe", newcombe(pairs, plan.confidence))
    for prefix, draws, used in (("", of_valid, pairs), ("all_", of_all, pair(a, b, over_all=True))):
        low, high = gap_interval(grid, draws, at, conditions, plan.confidence)
        method = "bootstrap"
        if math.isnan(low) and (other := newcombe(used, plan.confidence)) is not None:
            (low, high), method = other, "newcombe"
        row |= {f"{prefix}low": points_text(low), f"{prefix}high": points_text(high)}
        if not prefix:
            row["interval"] = None if math.isnan(low) else method
    return row


def gap_interval(
    grid: Grid,
    draws: NDArray[np.float64],
    model: int,
    conditions: tuple[str, str],
    confidence: float,
) -> tuple[float, float]:
    """Return the bootstrap interval of one model's difference between two conditions.

    Both bounds are NaN where one of the conditions is not there or no resample differs.
    """
    if not set(conditions) <= set(grid.conditions):
        return float("nan"), float("nan")
    a, b = (grid.conditions.index(name) for name in conditions)
    return percentile_interval(draws[model, a] - draws[model, b], confidence)


def rates(counts: Counts) -> Row:
    """Return the five contract fields of one condition, names without the condition."""
    return {
        "n": counts.n,
        "valid": counts.valid,
        "convergence": _text(percent(fraction(counts.convergence, counts.valid))),
        "refusal": _text(percent(fraction(counts.refusal, counts.valid))),
        "nonsensical": _text(percent(fraction(counts.nonsensical, counts.n))),
    }


def _detail(counts: Counts, confidence: float) -> Row:
    worst = counts.worst
    parts = {
        "convergence": (counts.convergence, counts.valid),
        "refusal": (counts.refusal, counts.valid),
        "nonsensical": (counts.nonsensical, counts.n),
        "convergence_all": (counts.convergence, counts.n),
    }
    bounds: Row = {}
    for name in _BOUNDED:
        bounds |= _bounds(name, wilson(*parts[name], confidence))
        bounds |= _bounds(f"{name}_exact", clopper_pearson(*parts[name], confidence))
    return {
        "converged": counts.convergence,
        "refused": counts.refusal,
        "nonsense": counts.nonsensical,
        "failed": counts.failed,
        "cut_off": counts.cut,
        "thinking_cut": counts.thinking_cut,
        "convergence_all": _text(percent(fraction(*parts["convergence_all"]))),
        **bounds,
        "worst_low": _text(percent(worst[0])) if worst else None,
        "worst_high": _text(percent(worst[1])) if worst else None,
    }


def _gap_detail(a: Counts, b: Counts) -> Row:
    return {
        "unrounded": _text(percent(_minus(_rate(a), _rate(b)))),
        "all": _text(percent(_minus(fraction(a.convergence, a.n), fraction(b.convergence, b.n)))),
        "worst_low": _text(percent(a.worst[0] - b.worst[1])) if a.worst and b.worst else None,
        "worst_high": _text(percent(a.worst[1] - b.worst[0])) if a.worst and b.worst else None,
    }


def _rate(counts: Counts) -> Fraction | None:
    return fraction(counts.convergence, counts.valid)


def _minus(a: Fraction | None, b: Fraction | None) -> Fraction | None:
    return None if a is None or b is None else a - b


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _bounds(name: str, interval: tuple[float, float] | None) -> Row:
    low, high = interval or (math.nan, math.nan)
    return {f"{name}_low": points_text(low), f"{name}_high": points_text(high)}


OUTCOME_COLUMNS = (
    *("model", "size", "stage", "judge", "intervention", "n"),
    *ALL_LABELS,
    *(f"{name}_share" for name in ALL_LABELS),
)


def outcomes(grid: Grid) -> list[Row]:
    """Return the labels' counts and shares of all outputs, one row per model and condition."""
    rows = []
    for at, model in enumerate(grid.models):
        for condition in grid.conditions:
            labels = grid.of(at, condition)
            tally = {name: int((labels == code).sum()) for code, name in enumerate(ALL_LABELS)}
            n = sum(tally.values())
            if not n:
                continue
            row: Row = {"model": model.name, "size": model.size, "stage": model.stage}
            row |= {"judge": grid.judge, "intervention": condition, "n": n, **tally}
            row |= {f"{k}_share": _text(percent(fraction(v, n))) for k, v in tally.items()}
            rows.append(row)
    return rows


CATEGORY_COLUMNS = (
    *("model", "size", "stage", "judge", "category"),
    *(
        f"{c}_{name}"
        for c in CONDITIONS
        for name in (*_RATES, "converged", "convergence_low", "convergence_high")
    ),
    "delta",
)


def categories(grid: Grid, confidence: float) -> list[Row]:
    """Return rates and gap per model and category, fields as ``CATEGORY_COLUMNS``."""
    of_scenario = np.array(grid.categories)
    rows = []
    for at, model in enumerate(grid.models):
        for category in grid.category_names:
            where = of_scenario == category
            counts = {name: count(grid, at, name, where) for name in CONDITIONS}
            row: Row = {"model": model.name, "size": model.size, "stage": model.stage}
            row |= {"judge": grid.judge, "category": category}
            for name, c in counts.items():
                row |= {f"{name}_{field}": value for field, value in rates(c).items()}
                row[f"{name}_converged"] = c.convergence
                interval = wilson(c.convergence, c.valid, confidence)
                row |= {f"{name}_{k}": v for k, v in _bounds("convergence", interval).items()}
            row["delta"] = _text(published_delta(_rate(counts["pro"]), _rate(counts["anti"])))
            rows.append(row)
    return rows
