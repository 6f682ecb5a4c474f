"""Linear contrasts of rates: estimate, bootstrap draws and the paired permutation test."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steerability.estimate.bootstrap import percentile_interval
from steerability.estimate.grid import ABSENT, CONVERGENCE, Grid, valid

_SLACK = 1e-12


@dataclass(frozen=True)
class Contrast:
    """A weighted sum of differences of convergence rates (over valid outputs).

    Attributes:
        weights: one per difference, shape (k,).
        left: labels, shape (k, scenarios); the rate that is subtracted from.
        right: labels, same shape; the rate that is subtracted.
    """

    weights: NDArray[np.float64]
    left: NDArray[np.int8]
    right: NDArray[np.int8]

    @property
    def n(self) -> int:
        """Scenarios that enter: those with a valid output in one of the rates or more."""
        return int((valid(self.left) | valid(self.right)).any(axis=0).sum())

    def estimate(self) -> float:
        """Return the contrast's value, NaN where a rate has no valid output."""
        once = np.ones((1, self.left.shape[1]), dtype=np.int64)
        return float(self.draws(once)[0])

    def draws(self, weights: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the contrast in every bootstrap resample.

        Args:
            weights: from ``bootstrap.scenario_weights``, shape (resamples, scenarios).
        """
        left = _rates(weights @ _hits(self.left), weights @ _valid(self.left))
        right = _rates(weights @ _hits(self.right), weights @ _valid(self.right))
        return self._sum(left - right)

    def interval(self, weights: NDArray[np.int64], confidence: float) -> tuple[float, float]:
        """Return the percentile bootstrap interval."""
        return percentile_interval(self.draws(weights), confidence)

    def permutation_p(self, swaps: NDArray[np.int64]) -> float:
        """Return the two-sided p-value of a paired permutation test.

        Under the null hypothesis the two sides are exchangeable within a scenario, so all labels
        of a scenario are swapped together; that is a permutation within category as well.
        Source: Good (2005), Permutation, Parametric and Bootstrap Tests, chapter 3; the observed
        order counts as one of the permutations (Phipson and Smyth 2010).

        Args:
            swaps: 0 or 1, shape (permutations, scenarios), from ``swap_matrix``.
        """
        observed = self.estimate()
        if math.isnan(observed):
            return math.nan
        sides = []
        for mine, other in ((self.left, self.right), (self.right, self.left)):
            hits, counted = _hits(mine), _valid(mine)
            swapped_hits = hits.sum(axis=0) + swaps @ (_hits(other) - hits)
            swapped_counted = counted.sum(axis=0) + swaps @ (_valid(other) - counted)
            sides.append(_rates(swapped_hits, swapped_counted))
        permuted = self._sum(sides[0] - sides[1])
        permuted = permuted[~np.isnan(permuted)]
        extreme = int((np.abs(permuted) >= abs(observed) - _SLACK).sum())
        return (1 + extreme) / (1 + len(permuted))

    def _sum(self, differences: NDArray[np.float64]) -> NDArray[np.float64]:
        # one term after another, so that the order of additions is always the same
        total = np.zeros(differences.shape[0])
        for weight, column in zip(self.weights, differences.T, strict=True):
            total = total + weight * column
        return total


def swap_matrix(scenarios: int, permutations: int, seed: int) -> NDArray[np.int64]:
    """Return random swaps, 0 or 1, shape (permutations, scenarios), from numpy's PCG64."""
    rng = np.random.Generator(np.random.PCG64(seed))
    return rng.integers(0, 2, size=(permutations, scenarios), dtype=np.int64)


def bootstrap_p(draws: NDArray[np.float64], null: float) -> float:
    """Return the two-sided p-value that inverts the percentile interval at a null value.

    Draws without spread cannot reject anything: 1.

    Source: Davison and Hinkley (1997), Bootstrap Methods and their Application, section 4.4.
    """
    known = draws[~np.isnan(draws)]
    if not len(known):
        return math.nan
    if known.min() == known.max():
        return 1.0
    below = 1 + int((known <= null).sum())
    above = 1 + int((known >= null).sum())
    return min(1.0, 2 * min(below, above) / (1 + len(known)))


def difference(grid: Grid, left: list[tuple[int, str]], right: list[tuple[int, str]]) -> Contrast:
    """Return the mean of differences, left minus right, each side (model, condition)."""
    return Contrast(
        np.full(len(left), 1 / len(left)),
        np.stack([grid.of(*place) for place in left]),
        np.stack([grid.of(*place) for place in right]),
    )


def gap_difference(grid: Grid, pairs: Sequence[tuple[int, ...]], a: str, b: str) -> Contrast:
    """Return the mean difference of gaps: (a - b) of the first model minus that of the second.

    Args:
        grid: the labels.
        pairs: positions of the models set against each other.
        a: the condition the gap starts from.
        b: the condition it ends at.
    """
    places = [(pair, condition) for pair in pairs for condition in (a, b)]
    weights = [1.0 if condition == a else -1.0 for _, condition in places]
    return Contrast(
        np.array(weights) / len(pairs),
        np.stack([grid.of(pair[0], condition) for pair, condition in places]),
        np.stack([grid.of(pair[1], condition) for pair, condition in places]),
    )


def shift_difference(grid: Grid, models: list[int]) -> Contrast:
    """Return (pro - none) - (none - anti), mean over models; for bootstrap only.

    Its two sides are not exchangeable within a scenario, so it has no permutation test.
    """
    places = [(at, side) for at in models for side in (("pro", "none"), ("none", "anti"))]
    weights = [1.0 if side[0] == "pro" else -1.0 for _, side in places]
    return Contrast(
        np.array(weights) / len(models),
        np.stack([grid.of(at, side[0]) for at, side in places]),
        np.stack([grid.of(at, side[1]) for at, side in places]),
    )


def restrict(contrast: Contrast, where: NDArray[np.bool_]) -> Contrast:
    """Return the contrast over some scenarios only."""
    return Contrast(
        contrast.weights,
        np.where(where, contrast.left, np.int8(ABSENT)),
        np.where(where, contrast.right, np.int8(ABSENT)),
    )


def _hits(labels: NDArray[np.int8]) -> NDArray[np.int64]:
    hits: NDArray[np.int64] = (labels == CONVERGENCE).astype(np.int64).T
    return hits


def _valid(labels: NDArray[np.int8]) -> NDArray[np.int64]:
    return valid(labels).astype(np.int64).T


def _rates(hits: NDArray[np.int64], counted: NDArray[np.int64]) -> NDArray[np.float64]:
    rates = np.full(hits.shape, np.nan)
    np.divide(hits, counted, out=rates, where=counted > 0)
    return rates
