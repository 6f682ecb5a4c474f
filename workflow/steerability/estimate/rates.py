"""Counts of outcomes, rates as exact decimals, and intervals of one proportion."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from statsmodels.stats.proportion import proportion_confint

from steerability.estimate.grid import (
    ABSENT,
    CONVERGENCE,
    FAILED,
    NONSENSICAL,
    REFUSAL,
    Grid,
)

CENT = Decimal("0.01")
Interval = tuple[float, float]


@dataclass(frozen=True)
class Counts:
    """Outcomes of one model under one condition; ``cut`` is None where it is not known."""

    n: int
    convergence: int
    no_convergence: int
    refusal: int
    nonsensical: int
    failed: int
    cut: int | None
    thinking_cut: int
    certain: int
    possible: int

    @property
    def valid(self) -> int:
        """Outputs in the denominator of convergence and refusal rates."""
        return self.n - self.nonsensical - self.failed

    @property
    def worst(self) -> tuple[Fraction, Fraction] | None:
        """Least and greatest convergence rate over all outputs, whatever the unsure ones are.

        Unsure is an output that is nonsensical, whose judge failed, or that was cut off at a
        limit (where the source says so) or within its thinking (Manski's worst-case bounds).
        """
        if not self.n:
            return None
        return Fraction(self.certain, self.n), Fraction(self.possible, self.n)


def count(grid: Grid, model: int, condition: str, where: NDArray[np.bool_] | None = None) -> Counts:
    """Count one model's outcomes under a condition.

    Args:
        grid: the labels.
        model: position in ``grid.models``.
        condition: an intervention's name; one that is not there counts as no outputs.
        where: bool, shape (scenarios,): which scenarios to count; None for all.
    """
    labels = grid.of(model, condition)
    chosen = labels != ABSENT
    if where is not None:
        chosen &= where
    labels = labels[chosen]
    if condition in grid.conditions:
        at = grid.conditions.index(condition)
        cut = grid.cut[model, at][chosen]
        thinking_cut = grid.thinking_cut[model, at][chosen]
    else:
        cut = np.zeros(0, dtype=np.int8)
        thinking_cut = np.zeros(0, dtype=np.bool_)
    tally = [int(t) for t in np.bincount(labels, minlength=5)]
    converged = labels == CONVERGENCE
    unsure = (labels == NONSENSICAL) | (labels == FAILED) | (cut == 1) | thinking_cut
    return Counts(
        n=len(labels),
        convergence=tally[CONVERGENCE],
        no_convergence=tally[1],
        refusal=tally[REFUSAL],
        nonsensical=tally[NONSENSICAL],
        failed=tally[FAILED],
        cut=int((cut == 1).sum()) if len(cut) and (cut != ABSENT).all() else None,
        thinking_cut=int(thinking_cut.sum()),
        certain=int((converged & ~unsure).sum()),
        possible=int((converged | unsure).sum()),
    )


def fraction(part: int, whole: int) -> Fraction | None:
    """Return part / whole, None where there is no whole."""
    return Fraction(part, whole) if whole else None


def percent(rate: Fraction | None) -> Decimal | None:
    """Return a rate as a percentage of two decimals, halves to even, without passing a float."""
    if rate is None:
        return None
    hundredths = round(rate * 10000)
    return (Decimal(hundredths) / 100).quantize(CENT, rounding=ROUND_HALF_EVEN)


def points(value: float) -> Decimal | None:
    """Return a proportion or difference in percentage points of two decimals; None for NaN."""
    if not np.isfinite(value):
        return None
    rounded = Decimal(f"{100 * value:.2f}")
    return abs(rounded) if rounded == 0 else rounded


def points_text(value: float) -> str | None:
    """Return ``points`` as the tables write them."""
    rounded = points(float(value))
    return None if rounded is None else str(rounded)


def published_delta(pro: Fraction | None, anti: Fraction | None) -> Decimal | None:
    """Return the gap as the paper prints it: the difference of the two rounded rates."""
    high, low = percent(pro), percent(anti)
    return None if high is None or low is None else high - low


def wilson(part: int, whole: int, confidence: float) -> Interval | None:
    """Return Wilson's score interval of a proportion.

    Source: Wilson (1927), JASA 22, 209-212; ``statsmodels`` ``proportion_confint("wilson")``.
    """
    return _confint(part, whole, confidence, "wilson")


def clopper_pearson(part: int, whole: int, confidence: float) -> Interval | None:
    """Return the exact interval of a proportion, which never covers less than it says.

    Source: Clopper and Pearson (1934), Biometrika 26, 404-413; ``statsmodels``
    ``proportion_confint("beta")``.
    """
    return _confint(part, whole, confidence, "beta")


def _confint(part: int, whole: int, confidence: float, method: str) -> Interval | None:
    if not whole:
        return None
    low, high = proportion_confint(part, whole, alpha=1 - confidence, method=method)
    return float(low), float(high)
