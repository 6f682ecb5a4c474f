"""What a suite of this size can see: power by simulation."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from steerability.analyse.grid import CONVERGENCE, Grid, valid
from steerability.analyse.rates import points_text
from steerability.config.analysis import Analysis
from steerability.tables import Field

COLUMNS = (
    *("question", "comparison", "rates", "pro_a", "anti_a", "pro_b", "anti_b"),
    *("correlation_pro", "correlation_anti", "scenarios", "difference", "power", "power_wanted"),
    *("alpha", "simulations"),
)
SMALLEST = "smallest difference of delta that this suite shows"
NEEDED = "scenarios needed to show this difference of delta"
SIMULATIONS = 10_000
_MOST = 1_000_000
_VALUES = np.arange(-2, 3)


@dataclass(frozen=True)
class Rates:
    """Convergence of two models under pro and anti, and their correlation over scenarios."""

    pro_a: float
    anti_a: float
    pro_b: float
    anti_b: float
    correlation_pro: float = 0.0
    correlation_anti: float = 0.0

    @property
    def difference(self) -> float:
        """Gap of a minus gap of b."""
        return (self.pro_a - self.anti_a) - (self.pro_b - self.anti_b)

    def with_loss(self, loss: float) -> "Rates":
        """Return rates where a's gap is b's less a loss, half of it under each suffix."""
        share = min(loss / 2, self.pro_b)
        rise = min(loss - share, 1 - self.anti_b)
        return Rates(
            self.pro_b - (loss - rise),
            self.anti_b + rise,
            self.pro_b,
            self.anti_b,
            self.correlation_pro,
            self.correlation_anti,
        )


def _side(a: float, b: float, correlation: float) -> NDArray[np.float64]:
    """Probabilities of -1, 0 and 1 for the difference of two correlated yes/no outcomes."""
    both = a * b + correlation * math.sqrt(a * (1 - a) * b * (1 - b))
    both = min(max(both, a + b - 1, 0.0), a, b)
    return np.array([b - both, 1 - a - b + 2 * both, a - both])


def _distribution(rates: Rates) -> NDArray[np.float64]:
    """Probabilities of -2 ... 2 for a scenario's difference of gaps."""
    pro = _side(rates.pro_a, rates.pro_b, rates.correlation_pro)
    anti = _side(rates.anti_a, rates.anti_b, rates.correlation_anti)
    whole = np.zeros(5)
    for i, p in enumerate(pro):
        for j, q in enumerate(anti):
            whole[2 + (i - 1) - (j - 1)] += p * q
    whole = np.clip(whole, 0, None)
    return whole / math.fsum(whole)


def power(rates: Rates, scenarios: int, alpha: float, seed: int) -> float:
    """Return the share of simulated suites whose paired test rejects equal gaps.

    The test is the paired permutation test in its normal limit: the sum of the scenarios'
    differences over the root of the sum of their squares. Scenarios are independent, pro and anti
    independent within a scenario, the two models correlated as given.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    drawn = rng.multinomial(scenarios, _distribution(rates), size=SIMULATIONS)
    total = (drawn * _VALUES).sum(axis=1)
    squares = (drawn * _VALUES**2).sum(axis=1)
    critical = float(norm.ppf(1 - alpha / 2))
    return float((total**2 > critical**2 * squares).sum()) / SIMULATIONS


def smallest_difference(base: Rates, scenarios: int, plan: Analysis) -> float | None:
    """Return the least loss of the gap, to 0.1 points, seen with the power wanted."""
    low, high = 0, int(1000 * min(2.0, base.pro_b + 1 - base.anti_b))
    if power(base.with_loss(high / 1000), scenarios, plan.alpha, plan.seed) < plan.power:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if power(base.with_loss(middle / 1000), scenarios, plan.alpha, plan.seed) >= plan.power:
            high = middle
        else:
            low = middle
    return high / 1000


def scenarios_needed(rates: Rates, plan: Analysis) -> int | None:
    """Return the least number of scenarios that shows the difference, None beyond a million."""
    if abs(rates.difference) < 1e-12:
        return None
    high = 8
    while power(rates, high, plan.alpha, plan.seed) < plan.power:
        high *= 2
        if high > _MOST:
            return None
    low = high // 2
    while high - low > max(1, high // 200):
        middle = (low + high) // 2
        if power(rates, middle, plan.alpha, plan.seed) >= plan.power:
            high = middle
        else:
            low = middle
    return high


def correlation(grid: Grid, a: int, b: int, condition: str) -> float:
    """Return the phi coefficient of two models' convergence over scenarios valid for both."""
    of_a, of_b = grid.of(a, condition), grid.of(b, condition)
    used = valid(of_a) & valid(of_b)
    x, y = of_a[used] == CONVERGENCE, of_b[used] == CONVERGENCE
    n, hits_a, hits_b, both = len(x), int(x.sum()), int(y.sum()), int((x & y).sum())
    spread = hits_a * (n - hits_a) * hits_b * (n - hits_b)
    return (n * both - hits_a * hits_b) / math.sqrt(spread) if spread else 0.0


def power_rows(
    grid: Grid, plan: Analysis, published: Sequence[dict[str, str]]
) -> list[dict[str, Field]]:
    """Return the rows of ``power.csv``.

    For every comparison of the size family: rates as published where the published table has both
    models, else as this run has them. The correlation over scenarios is this run's where both
    models are in it, else 0, which asks for more scenarios, not fewer.
    """
    by_name = {row["model"]: row for row in published}
    rows: list[dict[str, Field]] = []
    for comparison in plan.size_comparisons:
        names = comparison.model_a, comparison.model_b
        here = [at for at in map(grid.index, names) if at is not None]
        source = ""
        if all(name in by_name for name in names):
            source = "published"
            found = [
                float(by_name[name][f"{c}_convergence"]) / 100
                for name in names
                for c in ("pro", "anti")
            ]
        elif len(here) == len(names):
            source = "this run"
            found = [_rate(grid, at, c) for at in here for c in ("pro", "anti")]
        if not source or any(math.isnan(value) for value in found):
            rows += [_row(question, comparison.name) for question in (SMALLEST, NEEDED)]
            continue
        phi = [0.0, 0.0]
        if len(here) == len(names):
            phi = [correlation(grid, here[0], here[1], c) for c in ("pro", "anti")]
        rows += _answers(comparison.name, source, Rates(*found, *phi), len(grid.scenarios), plan)
    return rows


def _answers(
    comparison: str, source: str, rates: Rates, scenarios: int, plan: Analysis
) -> list[dict[str, Field]]:
    loss = smallest_difference(rates, scenarios, plan)
    seen = rates.with_loss(loss) if loss is not None else rates
    needed = scenarios_needed(rates, plan)
    settings: dict[str, Field] = {
        "rates": source,
        "power_wanted": f"{plan.power:g}",
        "alpha": f"{plan.alpha:g}",
        "simulations": SIMULATIONS,
    }
    first = _row(SMALLEST, comparison) | settings | _rates(seen)
    first |= {"scenarios": scenarios, "difference": None if loss is None else points_text(-loss)}
    if loss is not None:
        first["power"] = f"{power(seen, scenarios, plan.alpha, plan.seed):.3f}"
    second = _row(NEEDED, comparison) | settings | _rates(rates)
    second |= {"scenarios": needed, "difference": points_text(rates.difference)}
    if needed is not None:
        second["power"] = f"{power(rates, needed, plan.alpha, plan.seed):.3f}"
    return [first, second]


def _row(question: str, comparison: str) -> dict[str, Field]:
    return dict.fromkeys(COLUMNS) | {"question": question, "comparison": comparison}


def _rates(rates: Rates) -> dict[str, Field]:
    row: dict[str, Field] = {
        name: points_text(getattr(rates, name)) for name in ("pro_a", "anti_a", "pro_b", "anti_b")
    }
    row["correlation_pro"] = f"{rates.correlation_pro:.3f}"
    row["correlation_anti"] = f"{rates.correlation_anti:.3f}"
    return row


def _rate(grid: Grid, model: int, condition: str) -> float:
    labels = grid.of(model, condition)
    whole = int(valid(labels).sum())
    return int((labels == CONVERGENCE).sum()) / whole if whole else math.nan
