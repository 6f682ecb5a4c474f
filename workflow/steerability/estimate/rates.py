"""Rates as exact decimals, numbers as tables write them, and intervals of one proportion."""

from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

import numpy as np
from statsmodels.stats.proportion import proportion_confint

CENT = Decimal("0.01")
Interval = tuple[float, float]


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


def percent_text(rate: Fraction | None) -> str | None:
    """Return ``percent`` as the tables write it."""
    return None if rate is None else str(percent(rate))


def nats_text(value: float) -> str | None:
    """Return log-odds as the tables write them, to six decimals; None for NaN."""
    if not np.isfinite(value):
        return None
    text = f"{value:.6f}"
    return text.removeprefix("-") if float(text) == 0 else text


def published_delta(a: Fraction | None, b: Fraction | None) -> Decimal | None:
    """Return a difference as the paper prints it: of the two rounded rates."""
    high, low = percent(a), percent(b)
    return None if high is None or low is None else high - low


def wilson(part: float, whole: float, confidence: float) -> Interval | None:
    """Return Wilson's score interval of a proportion.

    Source: Wilson (1927), JASA 22, 209-212; ``statsmodels`` ``proportion_confint("wilson")``.
    """
    return _confint(part, whole, confidence, "wilson")


def clopper_pearson(part: float, whole: float, confidence: float) -> Interval | None:
    """Return the exact interval of a proportion, which never covers less than it says.

    Source: Clopper and Pearson (1934), Biometrika 26, 404-413; ``statsmodels``
    ``proportion_confint("beta")``.
    """
    return _confint(part, whole, confidence, "beta")


def _confint(part: float, whole: float, confidence: float, method: str) -> Interval | None:
    if not whole:
        return None
    low, high = proportion_confint(part, whole, alpha=1 - confidence, method=method)
    return float(low), float(high)
