"""Power by simulation agrees with the normal formula and keeps its level."""

import math
from dataclasses import replace

import pytest
from scipy.stats import norm

from steerability.analyse.grid import grid_of
from steerability.analyse.power import (
    Rates,
    correlation,
    power,
    power_rows,
    scenarios_needed,
    smallest_difference,
)
from steerability.config.analysis import Analysis
from unit.synthetic import cells, discordant

PLAN = Analysis.model_validate(
    {
        "size_family": "size",
        "families": [
            {
                "kind": "between",
                "name": "size",
                "comparisons": [
                    {"name": "chat", "model_a": "large", "model_b": "small"},
                    {"name": "base", "model_a": "large-base", "model_b": "small-base"},
                ],
            }
        ],
    }
)
# published rates of 30B and 4B Instruct
INSTRUCT = Rates(0.8169, 0.0282, 0.7183, 0.0423)


def formula(rates: Rates, alpha: float, wanted: float) -> float:
    variance = sum(p * (1 - p) for p in (rates.pro_a, rates.anti_a, rates.pro_b, rates.anti_b))
    second = variance + rates.difference**2
    need = norm.ppf(1 - alpha / 2) * math.sqrt(second) + norm.ppf(wanted) * math.sqrt(variance)
    return float((need / rates.difference) ** 2)


def test_scenarios_needed_agree_with_the_normal_formula() -> None:
    needed = scenarios_needed(INSTRUCT, PLAN)
    assert needed == pytest.approx(formula(INSTRUCT, 0.05, 0.8), rel=0.06)


def test_the_simulated_test_keeps_its_level() -> None:
    same = Rates(0.7, 0.1, 0.7, 0.1)
    assert power(same, 71, 0.05, 1) == pytest.approx(0.05, abs=0.012)


def test_correlated_models_need_fewer_scenarios() -> None:
    apart, together = (
        scenarios_needed(replace(INSTRUCT, correlation_pro=phi), PLAN) for phi in (0.0, 0.5)
    )
    assert apart is not None and together is not None and together < apart


def test_more_scenarios_see_smaller_differences() -> None:
    few, many = (smallest_difference(INSTRUCT, n, PLAN) for n in (71, 284))
    assert few is not None and many is not None
    assert many < few < 0.35
    assert power(INSTRUCT.with_loss(few), 71, 0.05, PLAN.seed) >= 0.8


def test_no_difference_cannot_be_shown() -> None:
    assert scenarios_needed(Rates(0.5, 0.1, 0.5, 0.1), PLAN) is None


def test_correlation_is_phi() -> None:
    a, b = discordant(20, 5, 5, 20)
    rows = cells({"pro": a}, ("a", "1B", "x")) + cells({"pro": b}, ("b", "2B", "x"))
    assert correlation(grid_of(rows, "rules"), 0, 1, "pro") == pytest.approx(0.6)


def test_rows_name_their_source_and_list_what_is_absent() -> None:
    rows = cells({"pro": "cccn" * 8, "anti": "nnnc" * 8}, ("small", "4B", "x"))
    rows += cells({"pro": "cccc" * 8, "anti": "nnnn" * 8}, ("large", "30B", "x"))
    grid = grid_of(rows, "rules")
    chat, _, base, _ = power_rows(grid, PLAN, [])
    assert chat["rates"] == "this run" and base["rates"] is None
    published = [
        {"model": name, "pro_convergence": "60.00", "anti_convergence": "25.35"}
        for name in ("large-base", "small-base")
    ]
    *_, base, needed = power_rows(grid, PLAN, published)
    assert base["rates"] == "published" and base["correlation_pro"] == "0.000"
    assert needed["scenarios"] is None  # published rates that do not differ
