"""Power by simulation agrees with the normal formula and keeps its level."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from steerability.config.analysis import Analysis
from steerability.estimate.contrast import LinearContrast
from steerability.estimate.grid import Counted, grid_of
from steerability.estimate.p_values import swap_matrix
from steerability.inference.power import (
    Rates,
    columns,
    correlation,
    power,
    power_rows,
    published_rates,
    scenarios_needed,
    smallest_difference,
)
from steerability.protocol.design import Design
from steerability.support.errors import UserError
from steerability.support.tables import write_csv
from unit.synthetic import cells, discordant, study

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
STUDY = study(PLAN)
# published rates of 30B and 4B Instruct
INSTRUCT = Rates(0.8169, 0.0282, 0.7183, 0.0423)
PUBLISHED = {
    **{"pro_n": "10", "pro_valid": "8", "pro_convergence": "60.00"},
    **{"anti_n": "10", "anti_valid": "10", "anti_convergence": "25.35"},
}


def read(folder: Path) -> dict[str, dict[str, float]]:
    return published_rates(folder / "published.csv", ("pro", "anti"), "convergence")


def formula(rates: Rates, alpha: float, wanted: float) -> float:
    variance = sum(p * (1 - p) for p in (rates.up_a, rates.down_a, rates.up_b, rates.down_b))
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
        scenarios_needed(replace(INSTRUCT, correlation_up=phi), PLAN) for phi in (0.0, 0.5)
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
    assert correlation(grid_of(rows, "rules", STUDY), 0, 1, "pro") == pytest.approx(0.6)


def test_rows_name_their_source_and_list_what_is_absent(tmp_path: Path) -> None:
    rows = cells({"pro": "cccn" * 8, "anti": "nnnc" * 8}, ("small", "4B", "x"))
    rows += cells({"pro": "cccc" * 8, "anti": "nnnn" * 8}, ("large", "30B", "x"))
    grid = grid_of(rows, "rules", STUDY)
    chat, _, base, _ = power_rows(grid, STUDY, {})
    assert chat["rates"] == "this run" and base["rates"] is None
    published = [{**PUBLISHED, "model": name} for name in ("large-base", "small-base")]
    write_csv(tmp_path / "published.csv", list(published[0]), published)
    *_, base, needed = power_rows(grid, STUDY, read(tmp_path))
    assert base["rates"] == "published" and base["correlation_pro"] == "0.000"
    assert (base["valid_pro_a"], base["valid_anti_b"]) == ("80.00", "100.00")
    assert needed["scenarios"] is None  # published rates that do not differ


def test_outputs_that_are_not_valid_ask_for_more_scenarios() -> None:
    half = replace(INSTRUCT, valid_up_a=0.5, valid_down_a=0.5, valid_up_b=0.5, valid_down_b=0.5)
    whole, more = (scenarios_needed(rates, PLAN) for rates in (INSTRUCT, half))
    assert whole is not None and more == pytest.approx(2 * whole, rel=0.05)
    none = replace(INSTRUCT, valid_up_a=0.0)
    assert power(none, 1000, 0.05, 1) == 0


def test_the_power_is_that_of_the_permutation_test_over_valid_outputs() -> None:
    # 30B and 4B Base as published: 65, 71, 44 and 51 of 71 outputs are valid
    base = Rates(0.6, 0.2535, 0.6591, 0.2353, 65 / 71, 1.0, 44 / 71, 51 / 71).with_loss(0.36)
    rng = np.random.default_rng(8)
    swaps = swap_matrix(71, 400, 3)
    shares = [(base.up_a, base.valid_up_a), (base.down_a, base.valid_down_a)]
    shares += [(base.up_b, base.valid_up_b), (base.down_b, base.valid_down_b)]
    rejected = 0
    for _ in range(400):
        drawn = []
        for rate, counted in shares:
            valid = rng.random(71) < counted
            drawn.append(Counted((valid & (rng.random(71) < rate)).astype(int), valid.astype(int)))
        sides = (Counted.stack(drawn[:2]), Counted.stack(drawn[2:]))
        contrast = LinearContrast(np.array([1.0, -1.0]), *sides)
        rejected += contrast.permutation_p(swaps) <= 0.05
    assert power(base, 71, 0.05, 1) == pytest.approx(rejected / 400, abs=0.06)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"pro_convergence": "many"}, "line 2: pro_convergence is no number: many"),
        ({"anti_valid": "nan"}, "line 2: anti_valid is no number: nan"),
        ({"pro_convergence": "101"}, "a-model pro: 101 % of 8 valid of 10 is no rate"),
        ({"anti_valid": "0"}, "a-model anti: 25.35 % of 0 valid of 10 is no rate"),
        ({"pro_n": None}, "lacks the column pro_n"),
    ],
)
def test_a_malformed_published_table_is_one_line(
    tmp_path: Path, change: dict[str, str | None], said: str
) -> None:
    row = {k: v for k, v in {**PUBLISHED, "model": "a-model", **change}.items() if v is not None}
    write_csv(tmp_path / "published.csv", list(row), [row])
    with pytest.raises(UserError, match=said):
        read(tmp_path)


def test_a_published_table_of_other_interventions_says_nothing(tmp_path: Path) -> None:
    write_csv(tmp_path / "published.csv", ["model", *PUBLISHED], [{"model": "a", **PUBLISHED}])
    path = tmp_path / "published.csv"
    assert published_rates(path, ("polite", "rude"), "convergence") == {}
    assert list(read(tmp_path)) == ["a"]


def test_without_a_gap_nothing_is_asked() -> None:
    rows = cells({"pro": "ccn", "none": "cnn"}, ("small", "4B", "x"))
    mine = study(PLAN, design=Design(baseline="none", amplify=("pro",)))
    assert power_rows(grid_of(rows, "rules", mine), mine, {}) == []
    assert "pro_a" in columns(mine) and "suppress_a" in columns(mine)
