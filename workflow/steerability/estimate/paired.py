"""Two yes/no outcomes of the same scenarios: exact McNemar test and Newcombe's interval."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from steerability.estimate.grid import ABSENT, CONVERGENCE, valid
from steerability.estimate.rates import Interval, wilson


@dataclass(frozen=True)
class Pairs:
    """A paired 2x2 table: scenarios where both converge, only a, only b, or neither."""

    both: int
    only_a: int
    only_b: int
    neither: int

    @property
    def n(self) -> int:
        """Scenarios with a valid output on both sides."""
        return self.both + self.only_a + self.only_b + self.neither

    @property
    def difference(self) -> float:
        """Rate of a minus rate of b over the paired scenarios; NaN where there are none."""
        return (self.only_a - self.only_b) / self.n if self.n else math.nan


def pair(a: NDArray[np.int8], b: NDArray[np.int8], *, over_all: bool = False) -> Pairs:
    """Cross-tabulate convergence over the scenarios that are valid on both sides.

    Args:
        a: labels, shape (scenarios,), as ``Grid.labels`` holds them.
        b: labels of the same scenarios.
        over_all: over all scenarios with an output, invalid ones counted as not converging.
    """
    usable = (a != ABSENT) & (b != ABSENT) if over_all else valid(a) & valid(b)
    in_a, in_b = a[usable] == CONVERGENCE, b[usable] == CONVERGENCE
    return Pairs(
        both=int((in_a & in_b).sum()),
        only_a=int((in_a & ~in_b).sum()),
        only_b=int((~in_a & in_b).sum()),
        neither=int((~in_a & ~in_b).sum()),
    )


def mcnemar(only_a: int, only_b: int) -> float:
    """Return the two-sided exact McNemar p-value; 1 where no scenario is discordant.

    Source: McNemar (1947), Psychometrika 12, 153-157, in its exact form: a sign test of the
    discordant pairs (``scipy.stats.binomtest``). It assumes independent scenarios.
    """
    discordant = only_a + only_b
    return float(binomtest(only_a, discordant, 0.5).pvalue) if discordant else 1.0


def newcombe(pairs: Pairs, confidence: float) -> Interval | None:
    """Return the interval of a difference of paired proportions.

    Source: Newcombe (1998), Statistics in Medicine 17, 2635-2650, method 10: Wilson's bounds of
    both rates, squared and added with the correlation phi, its numerator continuity-corrected.

    Returns:
        Lower and upper bound of rate a minus rate b; None where there are no pairs.
    """
    n = pairs.n
    total_a, total_b = pairs.both + pairs.only_a, pairs.both + pairs.only_b
    of_a, of_b = wilson(total_a, n, confidence), wilson(total_b, n, confidence)
    if of_a is None or of_b is None:
        return None
    rate_a, rate_b = total_a / n, total_b / n
    margins = total_a * (n - total_a) * total_b * (n - total_b)
    excess = float(pairs.both * pairs.neither - pairs.only_a * pairs.only_b)
    if excess > 0:
        excess = max(excess - n / 2, 0.0)
    phi = excess / math.sqrt(margins) if margins else 0.0

    def spread(below: float, above: float) -> float:
        return math.sqrt(max(0.0, below * below - 2 * phi * below * above + above * above))

    difference = rate_a - rate_b
    low = difference - spread(rate_a - of_a[0], of_b[1] - rate_b)
    high = difference + spread(rate_b - of_b[0], of_a[1] - rate_a)
    return low, high
