"""Declared tests and hypotheses: recomputed by other means, absent ones listed, words modest."""

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests

from steerability import cli
from steerability.analyse.families import COLUMNS, Resampling, holm, run_tests
from steerability.analyse.grid import grid_of
from steerability.analyse.hypotheses import Finding, judge_hypotheses
from steerability.config.analysis import Analysis
from steerability.score.cells import CellRow, write_cells
from unit.synthetic import cells, discordant

SMALL, LARGE = ("small", "4B", "Chat"), ("large", "30B", "Chat")
PLAN = {
    "resamples": 500,
    "permutations": 500,
    "size_family": "size",
    "families": [
        {"kind": "within", "name": "suffix"},
        {
            "kind": "between",
            "name": "size",
            "comparisons": [
                {"name": "chat", "model_a": "large", "model_b": "small"},
                {"name": "base", "model_a": "large-base", "model_b": "small-base"},
            ],
        },
    ],
}
QUICK = Analysis.model_validate(PLAN)


def random_rows(seed: int) -> list[CellRow]:
    rng = np.random.default_rng(seed)
    rows = []
    for model in (SMALL, LARGE):
        letters = {
            name: "".join(rng.choice(list("cnrxf"), 40, p=[rate, 0.75 - rate, 0.1, 0.1, 0.05]))
            for name, rate in (("pro", 0.6), ("none", 0.3), ("anti", 0.15))
        }
        rows += cells(letters, model, categories=4)
    return rows


def findings(rows: list[CellRow], plan: Analysis = QUICK) -> dict[tuple[str, str], Finding]:
    grid = grid_of(rows, "rules")
    found = judge_hypotheses(grid, plan, Resampling.of(grid, plan))
    return {(f.hypothesis, f.part): f for f in found}


@pytest.mark.parametrize("seed", range(5))
def test_tests_are_recomputed_from_the_rows_by_other_code(seed: int) -> None:
    rows = random_rows(seed)
    grid = grid_of(rows, "rules")
    tests = run_tests(grid, QUICK, Resampling.of(grid, QUICK))
    label = {(r.model, r.intervention, r.scenario): r.label for r in rows}
    scenarios = sorted({r.scenario for r in rows})
    usable = ("convergence", "no_convergence", "safety_refusal")
    for test in tests:
        if not test.present or test.contrast.endswith("delta"):
            continue
        table = np.zeros((2, 2), dtype=int)
        for scenario in scenarios:
            a = label[test.model_a, test.condition_a, scenario]
            b = label[test.model_b, test.condition_b, scenario]
            if a in usable and b in usable:
                table[int(a != "convergence"), int(b != "convergence")] += 1
        assert (test.n, test.only_a, test.only_b) == (table.sum(), table[0, 1], table[1, 0])
        assert test.p == pytest.approx(statsmodels_mcnemar(table, exact=True).pvalue)
        assert test.estimate == pytest.approx((table[0, 1] - table[1, 0]) / table.sum())
    for family in ("suffix", "size"):
        mine = [t for t in tests if t.family == family]
        expected = multipletests([t.p if t.present else 1.0 for t in mine], method="holm")[1]
        for test, adjusted in zip(mine, expected, strict=True):
            assert not test.present or test.p_adjusted == pytest.approx(adjusted)


@pytest.mark.parametrize(
    ("counts", "p"),
    [((0, 2, 3, 66), 1.0), ((1, 2, 6, 62), 0.29)],  # Instruct, Thinking: both, only larger, ...
)
def test_the_paper_claim_of_larger_models_under_anti_is_not_carried(
    counts: tuple[int, int, int, int], p: float
) -> None:
    larger, smaller = discordant(*counts)
    filler = {"pro": "c" * 71, "none": "n" * 71}
    rows = cells({**filler, "anti": smaller}, SMALL) + cells({**filler, "anti": larger}, LARGE)
    grid = grid_of(rows, "rules")
    tests = run_tests(grid, QUICK, Resampling.of(grid, QUICK))
    (test,) = [t for t in tests if t.contrast == "chat: anti"]
    assert (test.n, test.only_a, test.only_b) == (71, *counts[1:3])
    assert round(test.p, 2) == p
    found = findings(rows)["B", "chat"]
    assert found.verdict == "undecided"
    assert "do not tell the sizes apart" in found.words


def test_absent_models_are_listed_and_count_in_the_family() -> None:
    rows = random_rows(1)
    grid = grid_of(rows, "rules")
    tests = run_tests(grid, QUICK, Resampling.of(grid, QUICK))
    absent = [t for t in tests if not t.present]
    assert [t.contrast for t in absent] == [f"base: {x}" for x in ("pro", "none", "anti", "delta")]
    assert all(t.row()["p"] is None and t.row()["n"] is None for t in absent)
    assert holm([0.01, float("nan"), 0.04])[0] == pytest.approx(0.03)
    found = findings(rows)
    assert found["A", "base"].verdict == "not present"
    assert "Only 1 of 2 declared comparisons are in the run." in found["A", "all"].words


def test_verdicts_follow_the_counts() -> None:
    flat = {"pro": "c" * 30 + "n" * 10, "none": "n" * 40, "anti": "n" * 40}
    steep = {"pro": "c" * 40, "none": "c" * 20 + "n" * 20, "anti": "n" * 40}
    found = findings(cells(flat, SMALL) + cells(steep, LARGE))
    assert found["A", "all"].verdict == "supported"
    assert found["C", "all"].verdict == "supported"
    stubborn = {
        "pro": "c" * 12 + "n" * 28,
        "none": "c" * 12 + "n" * 28,
        "anti": "c" * 12 + "n" * 28,
    }
    found = findings(cells(flat, SMALL) + cells(stubborn, LARGE))
    assert found["A", "all"].verdict == "contradicted"
    assert found["B", "all"].verdict == "supported"
    assert found["C", "all"].verdict == "undecided"
    found = findings(cells(stubborn, SMALL) + cells(flat, LARGE))
    assert found["B", "all"].verdict == "contradicted"
    backwards = {"pro": "n" * 40, "none": "c" * 30 + "n" * 10, "anti": "n" * 40}
    found = findings(cells(flat, SMALL) + cells(backwards, LARGE))
    assert found["C", "all"].verdict == found["C", "unauthorised"].verdict == "contradicted"
    assert found["C", "authorised"].verdict == "supported"
    whole, part = found["C", "all"], found["C", "unauthorised"]
    assert whole.p == pytest.approx(min(1.0, 2 * part.p))  # either shift could have been below


def test_the_two_shifts_add_up_to_the_gap() -> None:
    rows = cells({"pro": "cccn", "none": "ccnn", "anti": "nnnn"}, LARGE)
    found = findings(rows)
    authorised, unauthorised = found["C", "authorised"], found["C", "unauthorised"]
    assert (authorised.estimate, unauthorised.estimate) == (0.5, 0.25)
    assert found["C", "unauthorised - authorised"].estimate == pytest.approx(-0.25)
    assert binomtest(2, 2).pvalue == pytest.approx(authorised.p, abs=0.1)


def test_the_verb_writes_its_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = random_rows(3)
    rows += [r.model_copy(update={"judge": "other", "label": "convergence"}) for r in rows]
    write_cells(tmp_path / "cells.csv", rows)
    words = ["statistics", "--cells", str(tmp_path / "cells.csv"), "--judge", "rules"]
    words += ["--analysis", QUICK.model_dump_json(), "--output-dir", str(tmp_path)]
    words += ["--note", "other=says convergence to all"]
    assert cli.run(words) == 0
    assert "A: " in capsys.readouterr().out
    with (tmp_path / "tests.csv").open(newline="") as file:
        reader = csv.DictReader(file)
        assert tuple(reader.fieldnames or ()) == COLUMNS
        assert len(list(reader)) == 6 + 8
    with (tmp_path / "judge_sensitivity.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert {row["judge"] for row in table} == {"rules", "other"}
    assert all(row["changes"] == "false" for row in table if row["judge"] == "rules")
    assert {row["note"] for row in table if row["judge"] == "other"} == {"says convergence to all"}
    assert "says convergence" not in (tmp_path / "hypotheses.md").read_text()
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert cli.run(words) == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first


def test_a_size_family_that_is_not_declared_is_refused() -> None:
    with pytest.raises(ValueError, match="size_family sise"):
        Analysis.model_validate({**PLAN, "size_family": "sise"})
    with pytest.raises(ValueError, match="two families are called suffix"):
        Analysis.model_validate({"families": [PLAN["families"][0]] * 2})  # type: ignore[index]
