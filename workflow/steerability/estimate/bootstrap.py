"""Paired bootstrap over scenarios, stratified by category, in integer arithmetic."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from steerability.estimate.grid import Counted, Grid

_SLACK = 1e-9
_BLOCK = 4_000_000
_MOST = np.iinfo(np.uint8).max

Weights = NDArray[np.integer]
Draws = NDArray[np.float64]


def scenario_weights(strata: Sequence[NDArray[np.intp]], resamples: int, seed: int) -> Weights:
    """Draw scenarios with replacement within each category.

    Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 8 (paired data)
    with strata; the numbers come from numpy's PCG64.

    Args:
        strata: positions of the scenarios of each category, as ``Grid.strata`` gives them.
        resamples: how many.
        seed: of the random numbers.

    Returns:
        How often each scenario was drawn: shape (resamples, scenarios). The same draws serve
        every model and intervention, which is what makes differences paired.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    # a byte holds a count up to 255; a greater one widens the array
    weights: Weights = np.zeros((resamples, sum(map(len, strata))), dtype=np.uint8)
    for members in strata:
        # in blocks of rows, which the generator's stream does not notice
        for rows in blocks(resamples, len(members)):
            size = (len(rows), len(members))
            drawn = rng.integers(0, len(members), size=size)
            places = drawn + np.arange(len(rows))[:, None] * len(members)
            counts = np.bincount(places.ravel(), minlength=places.size).reshape(size)
            if counts.max() > _MOST and weights.dtype == np.uint8:
                weights = weights.astype(np.int64)
            weights[rows.start : rows.stop, members] = counts
    return weights


def grid_weights(grid: Grid, resamples: int, seed: int) -> Weights:
    """Draw the scenarios of a grid; see ``scenario_weights``."""
    return scenario_weights(grid.strata(), resamples, seed)


def blocks(rows: int, columns: int) -> list[range]:
    """Return ranges of rows that together are all, each of a few million fields at most."""
    step = max(1, _BLOCK // max(1, columns))
    return [range(start, min(start + step, rows)) for start in range(0, rows, step)]


def exact_product(matrix: NDArray[np.integer], columns: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return ``columns @ matrix.T``, sums of whole numbers below 2**53.

    Such sums are exact in float64, so the digits do not depend on how a machine orders additions.

    Args:
        matrix: whole numbers, shape (rows, scenarios).
        columns: whole numbers, shape (k, scenarios).

    Returns:
        Shape (k, rows).
    """
    product = np.empty((columns.shape[0], matrix.shape[0]))
    factor = columns.astype(np.float64)
    for rows in blocks(*matrix.shape):
        part = slice(rows.start, rows.stop)
        product[:, part] = factor @ matrix[part].astype(np.float64).T
    return product


def divide(a: Draws, b: Draws) -> Draws:
    """Return a / b, NaN where b is 0."""
    quotient = np.full(a.shape, np.nan)
    np.divide(a, b, out=quotient, where=b != 0)
    return quotient


def rate_draws(counted: Counted, weights: Weights) -> Draws:
    """Return rates in every resample.

    Args:
        counted: counts by scenario, shape (k, scenarios).
        weights: from ``scenario_weights``.

    Returns:
        Shape (k, resamples); NaN where a resample holds no output to count.
    """
    return divide(exact_product(weights, counted.hits), exact_product(weights, counted.among))


def percentile_interval(draws: Draws, confidence: float) -> tuple[float, float]:
    """Return the percentile interval of bootstrap draws, NaN where no draw differs from another.

    Draws without spread say nothing of uncertainty: every scenario had the same outcome. The
    bounds are order statistics (no interpolation): the ``ceil(B * alpha / 2)``-th smallest and its
    mirror. Draws that are NaN are left out.
    """
    known = draws[~np.isnan(draws)]
    if not len(known) or known.min() == known.max():
        return math.nan, math.nan
    rank = max(1, math.ceil(len(known) * (1 - confidence) / 2 - _SLACK))
    places = (rank - 1, len(known) - rank)
    ordered = np.partition(known, places)
    return float(ordered[places[0]]), float(ordered[places[1]])
