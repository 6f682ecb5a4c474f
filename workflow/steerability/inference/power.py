"""What a suite of this size can see: power by simulation."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from steerability.config.analysis import Analysis
from steerability.estimate.grid import ABSENT, CONVERGENCE, Grid, valid
from steerability.estimate.rates import points_text
from steerability.support.errors import UserError
from steerability.support.tables import Field, read_csv

COLUMNS = (
    *("question", "comparison", "rates", "pro_a", "anti_a", "pro_b", "anti_b"),
    *("valid_pro_a", "valid_anti_a", "valid_pro_b", "valid_anti_b"),
    *("correlation_pro", "correlation_anti", "scenarios", "difference", "power", "power_wanted"),
    *("alpha", "simulations"),
)
SMALLEST = "smallest difference of delta that this suite shows"
NEEDED = "scenarios needed to show this difference of delta"
SIMULATIONS = 10_000
_MOST = 1_000_000
GAP = ("pro", "anti")


@dataclass(frozen=True)
class Rates:
    """Convergence of two models under pro and anti, and what else the power hangs on.

    Attributes:
        pro_a: convergence, a share of valid outputs; ``anti_a`` to ``anti_b`` likewise.
        valid_pro_a: valid outputs, a share of all; ``valid_anti_a`` to ``valid_anti_b`` likewise.
        correlation_pro: of the two models' convergence over scenarios valid for both;
            ``correlation_anti`` likewise.
    """

    pro_a: float
    anti_a: float
    pro_b: float
    anti_b: float
    valid_pro_a: float = 1.0
    valid_anti_a: float = 1.0
    valid_pro_b: float = 1.0
    valid_anti_b: float = 1.0
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
        return replace(self, pro_a=self.pro_b - (loss - rise), anti_a=self.anti_b + rise)


def _outcomes(rates: Rates) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probabilities of the two models' outcomes in a scenario, under pro and under anti.

    Each of shape (3, 3), a by b: converging, valid but not converging, invalid.
    """
    r = rates
    return (
        _of_two(r.pro_a, r.pro_b, r.correlation_pro, r.valid_pro_a, r.valid_pro_b),
        _of_two(r.anti_a, r.anti_b, r.correlation_anti, r.valid_anti_a, r.valid_anti_b),
    )


def _of_two(
    a: float, b: float, correlation: float, valid_a: float, valid_b: float
) -> NDArray[np.float64]:
    both = a * b + correlation * math.sqrt(a * (1 - a) * b * (1 - b))
    both = min(max(both, a + b - 1, 0.0), a, b)
    whole = np.zeros((3, 3))
    whole[:2, :2] = np.array([[both, a - both], [b - both, 1 - a - b + both]]) * valid_a * valid_b
    whole[:2, 2] = np.array([a, 1 - a]) * valid_a * (1 - valid_b)
    whole[2, :2] = np.array([b, 1 - b]) * (1 - valid_a) * valid_b
    whole[2, 2] = (1 - valid_a) * (1 - valid_b)
    whole = np.clip(whole, 0, None)
    return whole / math.fsum(whole.ravel())


def _weights() -> NDArray[np.int64]:
    """What to sum over the nine outcomes of a scenario, shape (7, 9).

    Whether a, and b, converges; whether it is valid; then products of the two models' differences
    in these: converging squared, converging by valid, valid squared.
    """
    a, b = np.indices((3, 3)).reshape(2, 9)
    hits = [side == 0 for side in (a, b)]
    counted = [side <= 1 for side in (a, b)]
    rows = np.array([*hits, *counted], dtype=np.int64)
    h, v = rows[0] - rows[1], rows[2] - rows[3]
    return np.vstack([rows, h * h, h * v, v * v])


_WEIGHTS = _weights()


@dataclass(frozen=True)
class _Side:
    """Simulated suites under one suffix.

    Attributes:
        difference: of the two models' rates over valid outputs, NaN where one has none.
        added: what scenarios add to it under swaps, the sum, and ``squares`` of the squares.
    """

    difference: NDArray[np.float64]
    added: NDArray[np.float64]
    squares: NDArray[np.float64]


def _simulate(outcomes: NDArray[np.float64], scenarios: int, rng: np.random.Generator) -> _Side:
    drawn = rng.multinomial(scenarios, outcomes.ravel(), size=SIMULATIONS)
    sums = (drawn @ _WEIGHTS.T).T
    hits, counted, (hh, hv, vv) = sums[:2], sums[2:4], sums[4:]
    rates = np.full(hits.shape, np.nan)
    np.divide(hits, counted, out=rates, where=counted > 0)
    scale = 2 / np.maximum(counted[0] + counted[1], 1)
    pooled = scale / 2 * (hits[0] + hits[1])
    return _Side(
        rates[0] - rates[1],
        scale * (hits[0] - hits[1] - pooled * (counted[0] - counted[1])),
        scale**2 * (hh - 2 * pooled * hv + pooled**2 * vv),
    )


def power(rates: Rates, scenarios: int, alpha: float, seed: int) -> float:
    """Return the share of simulated suites whose paired test rejects equal gaps.

    The test is the paired permutation test in its normal limit. To first order a swap changes the
    sign of what a scenario adds to the difference of gaps: under each suffix, the difference of
    the two models' (converging - pooled rate, where valid) over the mean number of valid outputs.
    The variance under swaps is the sum of its squares, the products of pro and anti taken at
    their mean for the suite's counts. Where every output is valid a scenario adds its difference.

    Scenarios are independent, and within one pro and anti, and what is valid of what converges
    and of the other outputs; the two models' convergence is correlated as given. A suite without
    a valid output of one side does not reject.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    pro, anti = (_simulate(each, scenarios, rng) for each in _outcomes(rates))
    variance = pro.squares + anti.squares - 2 * pro.added * anti.added / scenarios
    variance = np.maximum(variance, 0)
    critical = float(norm.ppf(1 - alpha / 2))
    total = pro.difference - anti.difference
    return float((total**2 > critical**2 * variance).sum()) / SIMULATIONS


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


def published_rates(path: Path) -> dict[str, dict[str, float]]:
    """Return each model's convergence and share of valid outputs under pro and anti.

    Args:
        path: a published Table 1: ``model``, and of pro and anti ``_convergence`` in per cent of
            valid outputs, ``_valid`` and ``_n`` in outputs.

    Raises:
        UserError: the table lacks a column, or a field is no number or cannot be a rate's.
    """
    columns = [f"{c}_{name}" for c in GAP for name in ("convergence", "valid", "n")]
    found: dict[str, dict[str, float]] = {}
    for row in read_csv(path, ["model"], columns):
        if not all(row[column] for column in columns):
            continue
        rates: dict[str, float] = {}
        for c in GAP:
            rate, counted, whole = (float(row[f"{c}_{n}"]) for n in ("convergence", "valid", "n"))
            if not (0 <= rate <= 100 and 0 < counted <= whole):
                raise UserError(
                    f"{row['model']} {c}: {rate:g} % of {counted:g} valid of {whole:g} is no rate",
                    where=path,
                )
            rates |= {c: rate / 100, f"valid_{c}": counted / whole}
        found[row["model"]] = rates
    return found


def power_rows(
    grid: Grid, plan: Analysis, published: Mapping[str, Mapping[str, float]]
) -> list[dict[str, Field]]:
    """Return the rows of ``power.csv``.

    For every comparison of the size family: rates and shares of valid outputs as published where
    the published table has both models, else as this run has them. The correlation over scenarios
    is this run's where both models are in it, else 0, which asks for more scenarios, not fewer.

    Args:
        grid: the run's labels.
        plan: names the comparisons, the level and the power wanted.
        published: from ``published_rates``.
    """
    rows: list[dict[str, Field]] = []
    for comparison in plan.size_comparisons:
        names = comparison.model_a, comparison.model_b
        here = [at for at in map(grid.index, names) if at is not None]
        sides: list[Mapping[str, float]] = []
        source = ""
        if all(name in published for name in names):
            source, sides = "published", [published[name] for name in names]
        elif len(here) == len(names):
            source, sides = "this run", [_shares(grid, at) for at in here]
        if not source or any(math.isnan(value) for side in sides for value in side.values()):
            rows += [_row(question, comparison.name) for question in (SMALLEST, NEEDED)]
            continue
        phi = [0.0, 0.0]
        if len(here) == len(names):
            phi = [correlation(grid, here[0], here[1], c) for c in GAP]
        given = {f"{c}_{end}": side[c] for end, side in zip("ab", sides, strict=True) for c in side}
        rates = Rates(**given, correlation_pro=phi[0], correlation_anti=phi[1])
        rows += _answers(comparison.name, source, rates, len(grid.scenarios), plan)
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
    row: dict[str, Field] = {name: points_text(getattr(rates, name)) for name in COLUMNS[3:11]}
    row["correlation_pro"] = f"{rates.correlation_pro:.3f}"
    row["correlation_anti"] = f"{rates.correlation_anti:.3f}"
    return row


def _shares(grid: Grid, model: int) -> dict[str, float]:
    """A model's convergence and share of valid outputs under pro and anti, as published_rates."""
    shares: dict[str, float] = {}
    for condition in GAP:
        labels = grid.of(model, condition)
        outputs, whole = int((labels != ABSENT).sum()), int(valid(labels).sum())
        rate = int((labels == CONVERGENCE).sum()) / whole if whole else math.nan
        shares |= {condition: rate, f"valid_{condition}": whole / outputs if outputs else math.nan}
    return shares
