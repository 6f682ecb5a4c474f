"""What a suite of this size can see: power by simulation."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from steerability.config.analysis import Analysis
from steerability.config.study import Study
from steerability.estimate.grid import Grid
from steerability.estimate.rates import points_text
from steerability.inference.families import headline_gap
from steerability.inference.wording import Roles
from steerability.support.errors import UserError
from steerability.support.tables import Field, read_csv

_ENDS = ("a", "b")
SMALLEST = "smallest difference of delta that this suite shows"
NEEDED = "scenarios needed to show this difference of delta"
SIMULATIONS = 10_000
_MOST = 1_000_000


@dataclass(frozen=True)
class Rates:
    """Rates of two models under two interventions, and what else the power hangs on.

    Attributes:
        up_a: the event under the amplifying intervention, a share of valid outputs; ``down_a``
            under the suppressing one; ``up_b`` and ``down_b`` of the other model.
        valid_up_a: valid outputs, a share of all; ``valid_down_a`` to ``valid_down_b`` likewise.
        correlation_up: of the two models' events over scenarios valid for both;
            ``correlation_down`` likewise.
    """

    up_a: float
    down_a: float
    up_b: float
    down_b: float
    valid_up_a: float = 1.0
    valid_down_a: float = 1.0
    valid_up_b: float = 1.0
    valid_down_b: float = 1.0
    correlation_up: float = 0.0
    correlation_down: float = 0.0

    @property
    def difference(self) -> float:
        """Gap of a minus gap of b."""
        return (self.up_a - self.down_a) - (self.up_b - self.down_b)

    def with_loss(self, loss: float) -> "Rates":
        """Return rates where a's gap is b's less a loss, half of it under each intervention."""
        share = min(loss / 2, self.up_b)
        rise = min(loss - share, 1 - self.down_b)
        return replace(self, up_a=self.up_b - (loss - rise), down_a=self.down_b + rise)


def _outcomes(rates: Rates) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probabilities of the two models' outcomes in a scenario, under either intervention.

    Each of shape (3, 3), a by b: the event, valid but not the event, invalid.
    """
    r = rates
    return (
        _of_two(r.up_a, r.up_b, r.correlation_up, r.valid_up_a, r.valid_up_b),
        _of_two(r.down_a, r.down_b, r.correlation_down, r.valid_down_a, r.valid_down_b),
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

    Whether a, and b, has the event; whether it is valid; then products of the two models'
    differences in these: event squared, event by valid, valid squared.
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
    """Simulated suites under one intervention.

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
    sign of what a scenario adds to the difference of gaps: under each intervention, the difference
    of the two models' (event - pooled rate, where valid) over the mean number of valid outputs.
    The variance under swaps is the sum of its squares, the products of the two interventions taken
    at their mean for the suite's counts. Where every output is valid a scenario adds its
    difference.

    Scenarios are independent, and within one the two interventions, and what is valid of the
    events and of the other outputs; the two models' events are correlated as given. A suite
    without a valid output of one side does not reject.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    up, down = (_simulate(each, scenarios, rng) for each in _outcomes(rates))
    variance = up.squares + down.squares - 2 * up.added * down.added / scenarios
    variance = np.maximum(variance, 0)
    critical = float(norm.ppf(1 - alpha / 2))
    total = up.difference - down.difference
    return float((total**2 > critical**2 * variance).sum()) / SIMULATIONS


def smallest_difference(base: Rates, scenarios: int, plan: Analysis) -> float | None:
    """Return the least loss of the gap, to 0.1 points, seen with the power wanted."""
    low, high = 0, int(1000 * min(2.0, base.up_b + 1 - base.down_b))
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


def correlation(grid: Grid, a: int, b: int, intervention: str) -> float:
    """Return the phi coefficient of two models' events over scenarios valid for both.

    Of several samples each counts for itself, paired by its number.
    """
    of_a, of_b = grid.of(a, intervention), grid.of(b, intervention)
    used = grid.valid(of_a) & grid.valid(of_b)
    code = grid.code(grid.scale.event)
    x, y = of_a[used] == code, of_b[used] == code
    n, hits_a, hits_b, both = len(x), int(x.sum()), int(y.sum()), int((x & y).sum())
    spread = hits_a * (n - hits_a) * hits_b * (n - hits_b)
    return (n * both - hits_a * hits_b) / math.sqrt(spread) if spread else 0.0


def columns(study: Study) -> tuple[str, ...]:
    """Return the columns of ``power.csv``, with the names of the headline's interventions."""
    roles = Roles.of(study)
    names = roles.word("amplify"), roles.word("suppress")
    rates = [f"{name}_{end}" for end in _ENDS for name in names]
    return (
        *("question", "comparison", "rates"),
        *rates,
        *(f"valid_{rate}" for rate in rates),
        *(f"correlation_{name}" for name in names),
        *("scenarios", "difference", "power", "power_wanted", "alpha", "simulations"),
    )


def published_rates(
    path: Path, interventions: Sequence[str], event: str
) -> dict[str, dict[str, float]]:
    """Return each model's rate and share of valid outputs under two interventions.

    Args:
        path: a published Table 1: ``model``, and of each intervention ``_EVENT`` in per cent of
            valid outputs, ``_valid`` and ``_n`` in outputs.
        interventions: the amplifying one, then the suppressing one.
        event: what is counted.

    Returns:
        By model: ``up`` and ``down``, ``valid_up`` and ``valid_down``; models without all of them
        are left out, as every model is where the table is of other interventions or events.

    Raises:
        UserError: the table lacks one of several columns, or a field is no number or cannot be a
            rate's.
    """
    ends = (event, "valid", "n")
    wanted = [f"{name}_{end}" for name in interventions for end in ends]
    rows = read_csv(path, ["model"])
    if not rows or not set(wanted) & rows[0].keys():
        return {}
    found: dict[str, dict[str, float]] = {}
    for row in read_csv(path, ["model"], wanted):
        if not all(row[column] for column in wanted):
            continue
        rates: dict[str, float] = {}
        for side, name in zip(("up", "down"), interventions, strict=True):
            rate, counted, whole = (float(row[f"{name}_{end}"]) for end in ends)
            if not (0 <= rate <= 100 and 0 < counted <= whole):
                raise UserError(
                    f"{row['model']} {name}: {rate:g} % of {counted:g} valid of {whole:g} is no "
                    "rate",
                    where=path,
                )
            rates |= {side: rate / 100, f"valid_{side}": counted / whole}
        found[row["model"]] = rates
    return found


def power_rows(
    grid: Grid, study: Study, published: Mapping[str, Mapping[str, float]]
) -> list[dict[str, Field]]:
    """Return the rows of ``power.csv``.

    For every comparison of the size family, of the headline's gap: rates and shares of valid
    outputs as published where the published table has both models, else as this run has them. The
    correlation over scenarios is this run's where both models are in it, else 0, which asks for
    more scenarios, not fewer. Without an amplifying or a suppressing intervention nothing is asked.

    Args:
        grid: the run's labels.
        study: names the roles, the comparisons, the level and the power wanted.
        published: from ``published_rates``.
    """
    gap = headline_gap(study)
    if gap is None:
        return []
    rows: list[dict[str, Field]] = []
    for comparison in study.analysis.size_comparisons:
        names = comparison.model_a, comparison.model_b
        here = [at for at in map(grid.index, names) if at is not None]
        sides: list[Mapping[str, float]] = []
        source = ""
        if all(name in published for name in names):
            source, sides = "published", [published[name] for name in names]
        elif len(here) == len(names):
            source, sides = "this run", [_shares(grid, at, (gap.a, gap.b)) for at in here]
        blank = [_row(question, comparison.name, study) for question in (SMALLEST, NEEDED)]
        if not source or any(math.isnan(value) for side in sides for value in side.values()):
            rows += blank
            continue
        phi = [0.0, 0.0]
        if len(here) == len(names):
            phi = [correlation(grid, here[0], here[1], name) for name in (gap.a, gap.b)]
        given = {
            f"{c}_{end}": side[c] for end, side in zip(_ENDS, sides, strict=True) for c in side
        }
        rates = Rates(**given, correlation_up=phi[0], correlation_down=phi[1])
        rows += _answers(blank, source, rates, len(grid.scenarios), study)
    return rows


def _answers(
    blank: Sequence[dict[str, Field]], source: str, rates: Rates, scenarios: int, study: Study
) -> list[dict[str, Field]]:
    plan = study.analysis
    loss = smallest_difference(rates, scenarios, plan)
    seen = rates.with_loss(loss) if loss is not None else rates
    needed = scenarios_needed(rates, plan)
    settings: dict[str, Field] = {
        "rates": source,
        "power_wanted": f"{plan.power:g}",
        "alpha": f"{plan.alpha:g}",
        "simulations": SIMULATIONS,
    }
    first = blank[0] | settings | _rates(seen, study)
    first |= {"scenarios": scenarios, "difference": None if loss is None else points_text(-loss)}
    if loss is not None:
        first["power"] = f"{power(seen, scenarios, plan.alpha, plan.seed):.3f}"
    second = blank[1] | settings | _rates(rates, study)
    second |= {"scenarios": needed, "difference": points_text(rates.difference)}
    if needed is not None:
        second["power"] = f"{power(rates, needed, plan.alpha, plan.seed):.3f}"
    return [first, second]


def _row(question: str, comparison: str, study: Study) -> dict[str, Field]:
    return dict.fromkeys(columns(study)) | {"question": question, "comparison": comparison}


def _rates(rates: Rates, study: Study) -> dict[str, Field]:
    roles = Roles.of(study)
    row: dict[str, Field] = {}
    for side, name in (("up", roles.word("amplify")), ("down", roles.word("suppress"))):
        for end in _ENDS:
            row[f"{name}_{end}"] = points_text(getattr(rates, f"{side}_{end}"))
            row[f"valid_{name}_{end}"] = points_text(getattr(rates, f"valid_{side}_{end}"))
        row[f"correlation_{name}"] = f"{getattr(rates, f'correlation_{side}'):.3f}"
    return row


def _shares(grid: Grid, model: int, gap: tuple[str, str]) -> dict[str, float]:
    """A model's rate and share of valid outputs under both interventions, as published_rates."""
    shares: dict[str, float] = {}
    for side, name in zip(("up", "down"), gap, strict=True):
        outputs, whole = grid.counted(model, name, over_all=True), grid.counted(model, name)
        among = outputs.totals[1]
        shares[side] = whole.rate
        shares[f"valid_{side}"] = whole.totals[1] / among if among else math.nan
    return shares
