"""The declared families of tests, each row of ``tests.csv``."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from statsmodels.stats.multitest import multipletests

from steerability.config.analysis import Analysis, Between, Comparison, Within
from steerability.estimate.bootstrap import scenario_weights
from steerability.estimate.contrast import Contrast, gap_difference, restrict, swap_matrix
from steerability.estimate.grid import CONVERGENCE, Grid, valid
from steerability.estimate.paired import mcnemar, newcombe, pair
from steerability.estimate.rates import points_text
from steerability.support.tables import Field

COLUMNS = (
    *("family", "contrast", "model_a", "model_b", "condition_a", "condition_b"),
    *("n", "only_a", "only_b", "estimate", "low", "high", "p", "p_adjusted"),
)
GAP = ("pro", "anti")


@dataclass(frozen=True)
class Test:
    """One declared test; numbers are NaN, counts None, where it is not present in the run."""

    family: str
    contrast: str
    model_a: str
    model_b: str
    condition_a: str
    condition_b: str
    n: int | None = None
    only_a: int | None = None
    only_b: int | None = None
    estimate: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    p_adjusted: float = math.nan

    @property
    def present(self) -> bool:
        """Whether the run holds what the test compares."""
        return not math.isnan(self.p)

    def row(self) -> dict[str, Field]:
        """Return the fields of ``tests.csv``: estimates in points, p to four digits."""
        row: dict[str, Field] = {name: getattr(self, name) for name in COLUMNS}
        row |= {name: points_text(getattr(self, name)) for name in ("estimate", "low", "high")}
        row["p"], row["p_adjusted"] = p_text(self.p), p_text(self.p_adjusted)
        return row


def p_text(p: float) -> str | None:
    """Return a p-value to four significant digits, None for NaN."""
    return None if math.isnan(p) else f"{p:.4g}"


def holm(p_values: list[float]) -> list[float]:
    """Return Holm's adjusted p-values over a whole declared family.

    A test that is not present (NaN) counts as one with p = 1, so that what is missing from a run
    never makes the remaining tests look stronger.
    Source: Holm (1979), Scandinavian Journal of Statistics 6, 65-70; ``statsmodels``.
    """
    if not p_values:
        return []
    filled = [1.0 if math.isnan(p) else p for p in p_values]
    adjusted = multipletests(filled, method="holm")[1]
    return [
        math.nan if math.isnan(p) else float(a) for p, a in zip(p_values, adjusted, strict=True)
    ]


@dataclass(frozen=True)
class Resampling:
    """The random draws that all contrasts of one grid share."""

    weights: NDArray[np.int64]
    swaps: NDArray[np.int64]

    @classmethod
    def of(cls, grid: Grid, plan: Analysis) -> "Resampling":
        """Draw them: bootstrap weights and permutation swaps."""
        return cls(
            scenario_weights(grid, plan.resamples, plan.seed),
            swap_matrix(len(grid.scenarios), plan.permutations, plan.seed),
        )


def run_tests(grid: Grid, plan: Analysis, resampling: Resampling) -> list[Test]:
    """Return every declared test in the order of its declaration, adjusted within its family."""
    tests: list[Test] = []
    for family in plan.families:
        if isinstance(family, Within):
            of_family = list(_within(grid, family, plan))
        else:
            of_family = list(_between(grid, family, plan, resampling))
        adjusted = holm([test.p for test in of_family])
        tests += [replace(t, p_adjusted=p) for t, p in zip(of_family, adjusted, strict=True)]
    return tests


def paired_test(blank: Test, a: NDArray[np.int8], b: NDArray[np.int8], confidence: float) -> Test:
    """Fill a test with the exact McNemar test and Newcombe's interval of two label vectors."""
    pairs = pair(a, b)
    interval = newcombe(pairs, confidence)
    if interval is None:
        return blank
    return replace(
        blank,
        n=pairs.n,
        only_a=pairs.only_a,
        only_b=pairs.only_b,
        estimate=pairs.difference,
        low=interval[0],
        high=interval[1],
        p=mcnemar(pairs.only_a, pairs.only_b),
    )


def _within(grid: Grid, family: Within, plan: Analysis) -> Iterator[Test]:
    for model in dict.fromkeys((*(family.models or ()), *(model.name for model in grid.models))):
        at = grid.index(model)
        for a, b in family.pairs:
            blank = Test(family.name, f"{a} - {b}", model, model, a, b)
            if at is None:
                yield blank
                continue
            yield paired_test(blank, grid.of(at, a), grid.of(at, b), plan.confidence)


def _between(grid: Grid, family: Between, plan: Analysis, resampling: Resampling) -> Iterator[Test]:
    for comparison in family.comparisons:
        places = grid.index(comparison.model_a), grid.index(comparison.model_b)
        if family.by_category:
            for category in grid.category_names:
                where = np.array(grid.categories) == category
                name = f"{comparison.name}: delta in {category}"
                yield _gap(grid, family.name, name, comparison, plan, resampling, where)
            continue
        for condition in family.interventions:
            blank = Test(
                family.name,
                f"{comparison.name}: {condition}",
                comparison.model_a,
                comparison.model_b,
                condition,
                condition,
            )
            if places[0] is None or places[1] is None:
                yield blank
                continue
            a, b = grid.of(places[0], condition), grid.of(places[1], condition)
            yield paired_test(blank, a, b, plan.confidence)
        if family.delta:
            name = f"{comparison.name}: delta"
            yield _gap(grid, family.name, name, comparison, plan, resampling)


def _gap(
    grid: Grid,
    family: str,
    name: str,
    comparison: Comparison,
    plan: Analysis,
    resampling: Resampling,
    where: NDArray[np.bool_] | None = None,
) -> Test:
    blank = Test(family, name, comparison.model_a, comparison.model_b, *GAP)
    places = grid.index(comparison.model_a), grid.index(comparison.model_b)
    if places[0] is None or places[1] is None:
        return blank
    contrast = gap_difference(grid, [(places[0], places[1])], *GAP)
    if where is not None:
        contrast = restrict(contrast, where)
    estimate = contrast.estimate()
    if math.isnan(estimate):
        return blank
    low, high = contrast.interval(resampling.weights, plan.confidence)
    more, less = _direction(contrast)
    return replace(
        blank,
        n=contrast.n,
        only_a=more,
        only_b=less,
        estimate=estimate,
        low=low,
        high=high,
        p=contrast.permutation_p(resampling.swaps),
    )


def _direction(contrast: Contrast) -> tuple[int, int]:
    """Count the scenarios, valid throughout, that speak for the left and for the right side."""
    usable = (valid(contrast.left) & valid(contrast.right)).all(axis=0)
    left = (contrast.left == CONVERGENCE).astype(np.int64)
    right = (contrast.right == CONVERGENCE).astype(np.int64)
    sums = np.zeros(left.shape[1])
    for weight, a, b in zip(contrast.weights, left, right, strict=True):
        sums = sums + weight * (a - b)
    return int((usable & (sums > 0)).sum()), int((usable & (sums < 0)).sum())
