"""Linear contrasts of rates: estimate, bootstrap draws and the paired permutation test."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from steerability.estimate.bootstrap import Draws, Weights, percentile_interval, rate_draws
from steerability.estimate.grid import Counted, Grid
from steerability.estimate.p_values import Swaps, permutation_p, swapped_differences

Place = tuple[int, str]
"""A model's position and an intervention."""


@dataclass(frozen=True)
class LinearContrast:
    """A weighted sum of differences of rates of an event (over valid outputs).

    Attributes:
        weights: one per difference, shape (k,).
        left: counts by scenario, shape (k, scenarios), of the rates that are subtracted from.
        right: likewise of those that are subtracted.
    """

    weights: NDArray[np.float64]
    left: Counted
    right: Counted

    @property
    def n(self) -> int:
        """Scenarios that enter: those with a valid output in one of the rates or more."""
        return int(((self.left.among > 0) | (self.right.among > 0)).any(axis=0).sum())

    @property
    def directions(self) -> tuple[int, int]:
        """Scenarios, valid throughout, that speak for the left and for the right side."""
        usable = ((self.left.among > 0) & (self.right.among > 0)).all(axis=0)
        sums = np.zeros(self.left.hits.shape[1])
        rates = [
            np.divide(side.hits, side.among, where=side.among > 0, out=np.zeros(side.hits.shape))
            for side in (self.left, self.right)
        ]
        for weight, a, b in zip(self.weights, *rates, strict=True):
            sums = sums + weight * (a - b)
        return int((usable & (sums > 0)).sum()), int((usable & (sums < 0)).sum())

    def estimate(self) -> float:
        """Return the contrast's value, NaN where a rate has no valid output."""
        once = np.ones((1, self.left.hits.shape[1]), dtype=np.int16)
        return float(self.draws(once)[0])

    def draws(self, weights: Weights) -> Draws:
        """Return the contrast in every bootstrap resample.

        Args:
            weights: from ``bootstrap.scenario_weights``, shape (resamples, scenarios).
        """
        return self._sum(rate_draws(self.left, weights) - rate_draws(self.right, weights))

    def interval(self, weights: Weights, confidence: float) -> tuple[float, float]:
        """Return the percentile bootstrap interval."""
        return percentile_interval(self.draws(weights), confidence)

    def permutation_p(self, swaps: Swaps) -> float:
        """Return the two-sided p-value of a paired permutation test; see ``p_values``."""
        observed = self.estimate()
        if math.isnan(observed):
            return math.nan
        permuted = self._sum(swapped_differences(self.left, self.right, swaps))
        return permutation_p(permuted, observed)

    def where(self, kept: NDArray[np.bool_]) -> "LinearContrast":
        """Return the contrast over some scenarios only."""
        return LinearContrast(self.weights, self.left.where(kept), self.right.where(kept))

    def _sum(self, differences: Draws) -> Draws:
        # one term after another, so that the order of additions is always the same
        total = np.zeros(differences.shape[1])
        for weight, row in zip(self.weights, differences, strict=True):
            total = total + weight * row
        return total


def _stacked(grid: Grid, places: Sequence[Place]) -> Counted:
    return Counted.stack([grid.counted(*place) for place in places])


def difference(grid: Grid, left: Sequence[Place], right: Sequence[Place]) -> LinearContrast:
    """Return the mean of differences, left minus right."""
    weights = np.full(len(left), 1 / len(left))
    return LinearContrast(weights, _stacked(grid, left), _stacked(grid, right))


def gap_difference(grid: Grid, pairs: Sequence[tuple[int, ...]], a: str, b: str) -> LinearContrast:
    """Return the mean difference of gaps: (a - b) of the first model minus that of the second.

    Args:
        grid: the labels.
        pairs: positions of the models set against each other.
        a: the intervention the gap starts from.
        b: the intervention it ends at.
    """
    places = [(pair, name) for pair in pairs for name in (a, b)]
    weights = [1.0 if name == a else -1.0 for _, name in places]
    return LinearContrast(
        np.array(weights) / len(pairs),
        _stacked(grid, [(pair[0], name) for pair, name in places]),
        _stacked(grid, [(pair[1], name) for pair, name in places]),
    )


def shift_difference(grid: Grid, models: Sequence[int], roles: Sequence[str]) -> LinearContrast:
    """Return (amplify - baseline) - (baseline - suppress), mean over models; for bootstrap only.

    Its two sides are not exchangeable within a scenario, so it has no permutation test.

    Args:
        grid: the labels.
        models: positions.
        roles: the interventions that amplify, are the baseline, and suppress.
    """
    sides = list(pairwise(roles))
    places = [(at, side) for at in models for side in sides]
    weights = [1.0 if side == sides[0] else -1.0 for _, side in places]
    return LinearContrast(
        np.array(weights) / len(models),
        _stacked(grid, [(at, side[0]) for at, side in places]),
        _stacked(grid, [(at, side[1]) for at, side in places]),
    )


def difference_of_shifts(
    one: tuple[Grid, int], other: tuple[Grid, int], a: str, b: str
) -> LinearContrast:
    """Return (a - b) in one grid minus (a - b) in another of the same scenarios.

    Args:
        one: a grid and a model's position in it.
        other: the grid whose shift is subtracted; its scenarios are in the same order.
        a: the intervention the shift ends at.
        b: the intervention it starts from.
    """
    left, right = (_stacked(grid, [(at, a), (at, b)]) for grid, at in (one, other))
    return LinearContrast(np.array([1.0, -1.0]), left, right)
