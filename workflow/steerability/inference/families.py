"""The declared families of tests, each row of ``tests.csv``."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from steerability.config.analysis import Analysis, Between, Comparison, Within
from steerability.config.study import Study
from steerability.estimate.contrast import difference, gap_difference
from steerability.estimate.grid import Grid
from steerability.estimate.p_values import holm, p_text
from steerability.estimate.paired import mcnemar, newcombe, pair
from steerability.estimate.rates import points_text
from steerability.estimate.resampling import Resampling
from steerability.protocol.design import AUTHORISED, DELTA, UNAUTHORISED, Contrast
from steerability.support.tables import Field

COLUMNS = (
    *("family", "contrast", "model_a", "model_b", "condition_a", "condition_b"),
    *("n", "only_a", "only_b", "estimate", "low", "high", "p", "p_adjusted"),
)
_ORDER = (DELTA, UNAUTHORISED, AUTHORISED)


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


def declared_pairs(family: Within, study: Study, grid: Grid) -> tuple[tuple[str, str], ...]:
    """Return the pairs of interventions of a family: its own, or those of the design's roles.

    Without pairs of its own a family has the gap, its two parts, and the shift of every further
    intervention from the baseline.
    """
    if family.pairs is not None:
        return family.pairs
    found = study.design.contrasts(study.interventions or grid.interventions)
    ordered = sorted(found, key=lambda one: _ORDER.index(one.name) if one.name in _ORDER else 3)
    return tuple((contrast.a, contrast.b) for contrast in ordered)


def headline_gap(study: Study) -> Contrast | None:
    """Return the headline's amplifying minus its suppressing intervention, if it has both."""
    return next((contrast for contrast in study.design.headline if contrast.name == DELTA), None)


def run_tests(grid: Grid, study: Study, resampling: Resampling) -> list[Test]:
    """Return every declared test in the order of its declaration, adjusted within its family."""
    tests: list[Test] = []
    for family in study.analysis.families:
        if isinstance(family, Within):
            of_family = list(_within(grid, family, study, resampling))
        else:
            of_family = list(_between(grid, family, study, resampling))
        adjusted = holm([test.p for test in of_family])
        tests += [replace(t, p_adjusted=p) for t, p in zip(of_family, adjusted, strict=True)]
    return tests


def paired_test(
    blank: Test,
    grid: Grid,
    places: tuple[tuple[int, str], tuple[int, str]],
    plan: Analysis,
    resampling: Resampling,
) -> Test:
    """Fill a test of the event in two places, over the scenarios that are valid in both.

    One sample a scenario: the exact McNemar test and Newcombe's interval. Several: the paired
    permutation test and the bootstrap interval over scenarios, whose outputs stay together.

    Args:
        blank: the test without numbers.
        grid: the labels.
        places: model's position and intervention of either side.
        plan: the confidence.
        resampling: of the grid's scenarios; not drawn for one sample.
    """
    a, b = (grid.counted(*place) for place in places)
    pairs = pair(a, b)
    if not pairs.n:
        return blank
    counted = replace(blank, n=pairs.n, only_a=pairs.only_a, only_b=pairs.only_b)
    if grid.samples == 1:
        low, high = newcombe(pairs, plan.confidence) or (math.nan, math.nan)
        p = mcnemar(pairs.only_a, pairs.only_b)
        return replace(counted, estimate=pairs.difference, low=low, high=high, p=p)
    both = (a.among > 0) & (b.among > 0)
    contrast = difference(grid, [places[0]], [places[1]]).where(both)
    low, high = contrast.interval(resampling.weights, plan.confidence)
    p = contrast.permutation_p(resampling.swaps)
    return replace(counted, estimate=contrast.estimate(), low=low, high=high, p=p)


def _within(grid: Grid, family: Within, study: Study, resampling: Resampling) -> Iterator[Test]:
    pairs = declared_pairs(family, study, grid)
    for model in dict.fromkeys((*(family.models or ()), *(model.name for model in grid.models))):
        at = grid.index(model)
        for a, b in pairs:
            blank = Test(family.name, f"{a} - {b}", model, model, a, b)
            if at is None:
                yield blank
                continue
            yield paired_test(blank, grid, ((at, a), (at, b)), study.analysis, resampling)


def _between(grid: Grid, family: Between, study: Study, resampling: Resampling) -> Iterator[Test]:
    gap = headline_gap(study)
    interventions = family.interventions
    if interventions is None:
        every = study.design.order(study.interventions or grid.interventions)
        interventions = tuple(name for name in every if study.design.role(name))
    for comparison in family.comparisons:
        if family.by_category:
            for category in grid.category_names if gap else ():
                where = np.array(grid.categories) == category
                name = f"{comparison.name}: {DELTA} in {category}"
                assert gap is not None
                blank = _blank(family.name, name, comparison, gap.a, gap.b)
                yield _gap(blank, grid, study.analysis, resampling, where)
            continue
        for intervention in interventions:
            name = f"{comparison.name}: {intervention}"
            blank = _blank(family.name, name, comparison, intervention, intervention)
            a, b = grid.index(comparison.model_a), grid.index(comparison.model_b)
            if a is None or b is None:
                yield blank
                continue
            places = (a, intervention), (b, intervention)
            yield paired_test(blank, grid, places, study.analysis, resampling)
        if family.delta and gap is not None:
            blank = _blank(family.name, f"{comparison.name}: {DELTA}", comparison, gap.a, gap.b)
            yield _gap(blank, grid, study.analysis, resampling)


def _blank(family: str, name: str, comparison: Comparison, a: str, b: str) -> Test:
    return Test(family, name, comparison.model_a, comparison.model_b, a, b)


def _gap(
    blank: Test,
    grid: Grid,
    plan: Analysis,
    resampling: Resampling,
    where: NDArray[np.bool_] | None = None,
) -> Test:
    """Fill a test of two models' gaps, which a blank names."""
    a, b = grid.index(blank.model_a), grid.index(blank.model_b)
    if a is None or b is None:
        return blank
    contrast = gap_difference(grid, [(a, b)], blank.condition_a, blank.condition_b)
    if where is not None:
        contrast = contrast.where(where)
    estimate = contrast.estimate()
    if math.isnan(estimate):
        return blank
    low, high = contrast.interval(resampling.weights, plan.confidence)
    more, less = contrast.directions
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
