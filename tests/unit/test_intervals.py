"""Intervals and paired tests: published examples, independent code, coverage by simulation."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from steerability.estimate.bootstrap import (
    exact_product,
    grid_weights,
    percentile_interval,
    scenario_weights,
)
from steerability.estimate.contrast import difference, gap_difference
from steerability.estimate.grid import Grid, grid_of
from steerability.estimate.p_values import bootstrap_p, swap_matrix
from steerability.estimate.paired import Pairs, mcnemar, newcombe, pair
from steerability.estimate.rates import clopper_pearson, wilson
from steerability.estimate.resampled import Resampled
from unit.synthetic import STUDY, cells, discordant


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"), [(2, 3, 1.0), (2, 6, 0.2890625), (0, 0, 1.0), (0, 6, 0.03125)]
)
def test_exact_mcnemar_of_published_counts(only_a: int, only_b: int, p: float) -> None:
    assert mcnemar(only_a, only_b) == pytest.approx(p)


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [
        ((36, 12, 2, 0), 0.0569, 0.3404),  # Newcombe 1998, table II, method 10
        ((1, 1, 7, 12), -0.507, -0.026),  # Fagerland, Lydersen and Laake 2014 (Bentur 2009)
    ],
)
def test_newcombe_published_examples(table: tuple[int, ...], low: float, high: float) -> None:
    assert newcombe(Pairs(*table), 0.95) == pytest.approx((low, high), abs=5e-4)


def test_newcombe_is_antisymmetric_and_holds_the_estimate() -> None:
    rng = np.random.default_rng(11)
    for table in rng.multinomial(50, [0.3, 0.2, 0.2, 0.3], size=60):
        both, only_a, only_b, neither = (int(x) for x in table)
        one = newcombe(Pairs(both, only_a, only_b, neither), 0.95)
        other = newcombe(Pairs(both, only_b, only_a, neither), 0.95)
        assert one is not None and other is not None
        assert one == pytest.approx((-other[1], -other[0]))
        assert -1 <= one[0] <= (only_a - only_b) / 50 <= one[1] <= 1


def test_pairs_leave_out_scenarios_invalid_on_either_side() -> None:
    grid = grid_of(cells({"pro": "ccnnxf", "anti": "cncncc"}), "rules", STUDY)
    assert pair(grid.counted(0, "pro"), grid.counted(0, "anti")) == Pairs(1, 1, 1, 1)


@pytest.mark.parametrize("n", [20, 71])
def test_coverage_of_one_proportion(n: int) -> None:
    rates = np.linspace(0.02, 0.98, 49)
    for interval, floor, mean in ((wilson, 0.83, 0.945), (clopper_pearson, 0.95, 0.95)):
        bounds = [interval(k, n, 0.95) for k in range(n + 1)]
        low, high = np.array(bounds).T
        covers = (low[:, None] <= rates) & (rates <= high[:, None])
        coverage = (binom.pmf(np.arange(n + 1)[:, None], n, rates) * covers).sum(axis=0)
        assert coverage.min() >= floor
        assert coverage.mean() >= mean


def test_coverage_of_newcombe() -> None:
    rng = np.random.default_rng(5)
    hits, trials = 0, 0
    for shape in ((0.2, 0.5, 0.02, 0.28), (0.05, 0.08, 0.05, 0.82), (0.3, 0.2, 0.2, 0.3)):
        truth = shape[1] - shape[2]
        for table in rng.multinomial(71, shape, size=500):
            bounds = newcombe(Pairs(*(int(x) for x in table)), 0.95)
            assert bounds is not None
            hits += bounds[0] <= truth <= bounds[1]
            trials += 1
    assert 0.935 <= hits / trials <= 0.98


def made_grid(rng: np.random.Generator, scenarios: int, rates: list[float]) -> Grid:
    letters = {
        name: "".join(rng.choice(["c", "n"], size=scenarios, p=[rate, 1 - rate]))
        for name, rate in zip(("pro", "none", "anti"), rates, strict=True)
    }
    return grid_of(cells(letters, categories=6), "rules", STUDY)


def test_coverage_of_the_bootstrapped_gap() -> None:
    rng = np.random.default_rng(8)
    hits = 0
    for trial in range(240):
        grid = made_grid(rng, 72, [0.75, 0.4, 0.2])
        made = Resampled(grid, 0, grid_weights(grid, 600, trial))
        up, down = (made.draws(name, "convergence") for name in ("pro", "anti"))
        low, high = percentile_interval(up - down, 0.95)
        hits += low <= 0.55 <= high
    # 240 trials of 0.95 have a standard error of 0.014
    assert 0.90 <= hits / 240 <= 0.99


def test_coverage_of_the_difference_of_two_gaps() -> None:
    rng = np.random.default_rng(14)
    hits = 0
    for trial in range(200):
        rows = []
        for name, rates in (("a", (0.8, 0.1)), ("b", (0.6, 0.2))):
            letters = {
                c: "".join(rng.choice(["c", "n", "x"], 72, p=[0.9 * rate, 0.9 - 0.9 * rate, 0.1]))
                for c, rate in zip(("pro", "anti"), rates, strict=True)
            }
            rows += cells(letters, (name, "1B", name), categories=6)
        grid = grid_of(rows, "rules", STUDY)
        contrast = gap_difference(grid, [(0, 1)], "pro", "anti")
        low, high = contrast.interval(grid_weights(grid, 500, trial), 0.95)
        hits += low <= 0.3 <= high
    assert 0.89 <= hits / 200 <= 0.99  # three standard errors about 0.94


def test_the_bootstrap_resamples_within_categories_and_pairs() -> None:
    grid = grid_of(cells({"pro": "cccnnn", "anti": "cccnnn"}, categories=2), "rules", STUDY)
    weights = grid_weights(grid, 300, 1)
    for members in grid.strata():
        assert (weights[:, members].sum(axis=1) == len(members)).all()
    made = Resampled(grid, 0, weights)
    assert (made.draws("pro", "convergence") == made.draws("anti", "convergence")).all()
    assert (grid_weights(grid, 300, 1) == weights).all()


def test_the_bootstrap_agrees_with_a_plain_loop() -> None:
    grid = made_grid(np.random.default_rng(2), 30, [0.7, 0.4, 0.2])
    weights = grid_weights(grid, 50, 9)
    made = Resampled(grid, 0, weights)
    for at, counts in enumerate(weights):
        chosen = np.repeat(np.arange(30), counts)
        for condition, name in enumerate(grid.interventions):
            drawn = made.draws(name, "convergence")[at]
            assert drawn == (grid.labels[0, condition, :, 0][chosen] == 0).mean()


def test_a_percentile_interval_is_made_of_order_statistics() -> None:
    draws = np.arange(1000.0)
    assert percentile_interval(draws, 0.95) == (24.0, 975.0)
    assert all(math.isnan(bound) for bound in percentile_interval(np.full(4, np.nan), 0.95))


def test_the_permutation_test_is_the_exhaustive_one() -> None:
    rows = cells({"pro": "cccncccc", "anti": "nncnxnnn"}, ("a", "1B", "x"))
    rows += cells({"pro": "cnnncncn", "anti": "cncncnnn"}, ("b", "2B", "x"))
    grid = grid_of(rows, "rules", STUDY)
    contrast = gap_difference(grid, [(0, 1)], "pro", "anti")
    every = np.array(list(itertools.product((0, 1), repeat=8)), dtype=np.int64)

    def gap(labels: dict[str, list[int]]) -> float:
        total = 0.0
        for name, sign in (("pro", 1), ("anti", -1)):
            usable = [x for x in labels[name] if x not in (3, 4)]
            total += sign * sum(x == 0 for x in usable) / len(usable)
        return total

    extreme = 0
    observed = contrast.estimate()
    for swaps in every:
        a, b = ({n: [int(x) for x in grid.of(m, n)[:, 0]] for n in ("pro", "anti")} for m in (0, 1))
        for at in np.flatnonzero(swaps):
            for name in ("pro", "anti"):
                a[name][at], b[name][at] = b[name][at], a[name][at]
        extreme += abs(gap(a) - gap(b)) >= abs(observed) - 1e-12
    assert contrast.permutation_p(every) == pytest.approx((extreme + 1) / (len(every) + 1))
    sampled = contrast.permutation_p(swap_matrix(8, 20_000, 4))
    assert sampled == pytest.approx(extreme / len(every), abs=0.015)


def test_the_permutation_test_of_one_rate_is_mcnemar() -> None:
    a, b = discordant(20, 9, 2, 15)
    grid = grid_of(cells({"pro": a, "anti": b}), "rules", STUDY)
    contrast = difference(grid, [(0, "pro")], [(0, "anti")])
    sampled = contrast.permutation_p(swap_matrix(len(a), 40_000, 3))
    assert sampled == pytest.approx(binomtest(9, 11).pvalue, abs=0.006)


def test_the_permutation_test_keeps_its_level() -> None:
    rng = np.random.default_rng(21)
    swaps = swap_matrix(48, 400, 2)
    rejected = 0
    for _ in range(200):
        rows = []
        for name in ("a", "b"):
            letters = {
                c: "".join(rng.choice(["c", "n", "x"], 48, p=[rate, 0.9 - rate, 0.1]))
                for c, rate in (("pro", 0.6), ("anti", 0.2))
            }
            rows += cells(letters, (name, "1B", name))
        rejected += (
            gap_difference(grid_of(rows, "rules", STUDY), [(0, 1)], "pro", "anti").permutation_p(
                swaps
            )
            <= 0.05
        )
    assert rejected / 200 <= 0.095  # three standard errors above the level


def test_the_bootstrap_p_value_inverts_its_interval() -> None:
    draws = np.random.default_rng(0).normal(0.3, 0.1, 20_000)
    low, _ = percentile_interval(draws, 0.95)
    assert bootstrap_p(draws, low) == pytest.approx(0.05, abs=0.001)
    assert bootstrap_p(draws, -1.0) == pytest.approx(2 / 20_001)


def test_draws_in_blocks_are_the_draws_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    strata = [np.array([0, 2, 4]), np.array([1, 3])]
    rng = np.random.Generator(np.random.PCG64(7))
    expected = np.zeros((50, 5), dtype=int)
    for members in strata:
        chosen = members[rng.integers(0, len(members), size=(50, len(members)))]
        for row, drawn in zip(expected, chosen, strict=True):
            np.add.at(row, drawn, 1)
    swaps = np.random.Generator(np.random.PCG64(7)).integers(0, 2, size=(50, 5))
    for block, most in ((4_000_000, 255), (6, 255), (4_000_000, 1)):
        monkeypatch.setattr("steerability.estimate.bootstrap._BLOCK", block)
        monkeypatch.setattr("steerability.estimate.bootstrap._MOST", most)
        assert (scenario_weights(strata, 50, 7) == expected).all()
        assert (swap_matrix(5, 50, 7) == swaps).all()
        columns = np.array([[1, 0, 2, 0, 3], [0, -1, 0, 4, 0]])
        assert (
            exact_product(scenario_weights(strata, 50, 7), columns) == columns @ expected.T
        ).all()
