"""Paired bootstrap over scenarios, stratified by category, in integer arithmetic."""

import math

import numpy as np
from numpy.typing import NDArray

from steerability.estimate.grid import ABSENT, CONVERGENCE, Grid, valid

_SLACK = 1e-9


def scenario_weights(grid: Grid, resamples: int, seed: int) -> NDArray[np.int64]:
    """Draw scenarios with replacement within each category.

    Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 8 (paired data)
    with strata; the numbers come from numpy's PCG64.

    Returns:
        How often each scenario was drawn: int64, shape (resamples, scenarios). The same draws
        serve every model and condition, which is what makes differences paired.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    weights = np.zeros((resamples, len(grid.scenarios)), dtype=np.int64)
    rows = np.arange(resamples)[:, None]
    for members in grid.strata():
        drawn = members[rng.integers(0, len(members), size=(resamples, len(members)))]
        np.add.at(weights, (rows, drawn), 1)
    return weights


def rate_draws(
    grid: Grid, weights: NDArray[np.int64], *, over_all: bool = False
) -> NDArray[np.float64]:
    """Return the convergence rate in every resample.

    Args:
        grid: the labels.
        weights: from ``scenario_weights``.
        over_all: over all outputs in place of valid ones.

    Returns:
        Shape (models, conditions, resamples); NaN where a resample holds no output to count. Sums
        are of integers, so the digits do not depend on how a machine orders additions.
    """
    converged = (grid.labels == CONVERGENCE).astype(np.int64)
    counted = (grid.labels != ABSENT if over_all else valid(grid.labels)).astype(np.int64)
    hits = np.einsum("mcs,bs->mcb", converged, weights, optimize=False)
    wholes = np.einsum("mcs,bs->mcb", counted, weights, optimize=False)
    rates = np.full(hits.shape, np.nan)
    np.divide(hits, wholes, out=rates, where=wholes > 0)
    return rates


def percentile_interval(draws: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    """Return the percentile interval of bootstrap draws, NaN where no draw differs from another.

    Draws without spread say nothing of uncertainty: every scenario had the same outcome. The
    bounds are order statistics (no interpolation): the ``ceil(B * alpha / 2)``-th smallest and its
    mirror. Draws that are NaN are left out.
    """
    known = np.sort(draws[~np.isnan(draws)])
    if not len(known) or known[0] == known[-1]:
        return math.nan, math.nan
    rank = max(1, math.ceil(len(known) * (1 - confidence) / 2 - _SLACK))
    return float(known[rank - 1]), float(known[len(known) - rank])
