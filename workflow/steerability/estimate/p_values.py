"""P-values: by permutation, by inverting an interval, and corrected for a family of tests."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from statsmodels.stats.multitest import multipletests

from steerability.estimate.bootstrap import Draws, blocks, divide, exact_product
from steerability.estimate.grid import Counted

_SLACK = 1e-12
Swaps = NDArray[np.int8]


def p_text(p: float) -> str | None:
    """Return a p-value to four significant digits, None for NaN."""
    return None if math.isnan(p) else f"{p:.4g}"


def holm(p_values: Sequence[float]) -> list[float]:
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


def swap_matrix(scenarios: int, permutations: int, seed: int) -> Swaps:
    """Return random swaps, 0 or 1, shape (permutations, scenarios), from numpy's PCG64."""
    rng = np.random.Generator(np.random.PCG64(seed))
    swaps = np.empty((permutations, scenarios), dtype=np.int8)
    for rows in blocks(permutations, scenarios):
        size = (len(rows), scenarios)
        swaps[rows.start : rows.stop] = rng.integers(0, 2, size=size, dtype=np.int64)
    return swaps


def swapped_differences(left: Counted, right: Counted, swaps: Swaps) -> Draws:
    """Return differences of rates, left minus right, in every permutation.

    Under the null hypothesis the two sides are exchangeable within a scenario, so all outputs of a
    scenario are swapped together; that is a permutation within category as well.

    Args:
        left: counts by scenario, shape (k, scenarios).
        right: the same scenarios.
        swaps: from ``swap_matrix``.

    Returns:
        Shape (k, permutations); NaN where a side is left without an output to count.
    """
    moved = [exact_product(swaps, b - a) for a, b in zip(left, right, strict=True)]
    sums = [[side.sum(axis=1)[:, None] for side in sides] for sides in (left, right)]
    rates = [
        divide(hits + sign * moved[0], among + sign * moved[1])
        for (hits, among), sign in zip(sums, (1, -1), strict=True)
    ]
    return rates[0] - rates[1]


def permutation_p(permuted: Draws, observed: float) -> float:
    """Return the two-sided p-value of a permutation test.

    Source: Good (2005), Permutation, Parametric and Bootstrap Tests, chapter 3; the observed
    order counts as one of the permutations (Phipson and Smyth 2010).

    Args:
        permuted: the statistic in every permutation; those that are NaN are left out.
        observed: the statistic as observed.
    """
    if math.isnan(observed):
        return math.nan
    known = permuted[~np.isnan(permuted)]
    extreme = int((np.abs(known) >= abs(observed) - _SLACK).sum())
    return (1 + extreme) / (1 + len(known))


def bootstrap_p(draws: Draws, null: float) -> float:
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
