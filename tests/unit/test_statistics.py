"""Declared tests and hypotheses: recomputed by other means, absent ones listed, words modest."""

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests

from steerability import cli
from steerability.config.analysis import Analysis
from steerability.config.study import Study
from steerability.estimate.grid import Grid, grid_of
from steerability.estimate.p_values import holm
from steerability.estimate.resampling import Resampling
from steerability.inference.families import COLUMNS, run_tests
from steerability.inference.families import Test as Declared
from steerability.inference.hypotheses import Finding, judge_hypotheses
from steerability.protocol.design import Design
from steerability.score.cells import CellRow, write_cells
from unit.synthetic import cells, discordant, study, table_of

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
QUICK = study(Analysis.model_validate(PLAN))


def grid_from(rows: list[CellRow], of: Study = QUICK) -> Grid:
    return grid_of(rows, "rules", of)


def declared(grid: Grid, of: Study = QUICK) -> list[Declared]:
    return run_tests(grid, of, Resampling(grid.categories, of.analysis))


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


def findings(rows: list[CellRow], of: Study = QUICK) -> dict[tuple[str, str], Finding]:
    grid = grid_from(rows, of)
    found = judge_hypotheses(grid, of, Resampling(grid.categories, of.analysis))
    return {(f.hypothesis, f.part): f for f in found}


@pytest.mark.parametrize("seed", range(5))
def test_tests_are_recomputed_from_the_rows_by_other_code(seed: int) -> None:
    rows = random_rows(seed)
    grid = grid_from(rows)
    tests = declared(grid)
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
    grid = grid_from(rows)
    tests = declared(grid)
    (test,) = [t for t in tests if t.contrast == "chat: anti"]
    assert (test.n, test.only_a, test.only_b) == (71, *counts[1:3])
    assert round(test.p, 2) == p
    found = findings(rows)["B", "chat"]
    assert found.verdict == "undecided"
    assert "do not tell the sizes apart" in found.words


def test_absent_models_are_listed_and_count_in_the_family() -> None:
    rows = random_rows(1)
    grid = grid_from(rows)
    tests = declared(grid)
    absent = [t for t in tests if not t.present]
    assert [t.contrast for t in absent] == [f"base: {x}" for x in ("pro", "none", "anti", "delta")]
    assert all(t.row()["p"] is None and t.row()["n"] is None for t in absent)
    assert holm([0.01, float("nan"), 0.04])[0] == pytest.approx(0.03)
    found = findings(rows)
    assert found["A", "base"].verdict == "not present"
    assert "Only 1 of 2 declared comparisons are in the run." in found["A", "all"].words


def test_a_within_family_counts_the_models_it_declares() -> None:
    grid = grid_from(random_rows(1))
    suffix = {"kind": "within", "name": "suffix", "models": ["large", "gone", "lost"]}
    plan = Analysis.model_validate({**PLAN, "families": [suffix, PLAN["families"][1]]})  # type: ignore[index]
    tests = [t for t in declared(grid, study(plan)) if t.family == "suffix"]
    # a model of the run that was not declared joins, so that no test is left unsaid
    names = ["large", "gone", "lost", "small"]
    assert [t.model_a for t in tests] == [name for name in names for _ in range(3)]
    assert [t.present for t in tests] == [True] * 3 + [False] * 6 + [True] * 3
    assert all(t.row()["n"] is None for t in tests[3:9])
    least = min(t.p for t in tests if t.present)
    assert min(t.p_adjusted for t in tests if t.present) == pytest.approx(12 * least)


def test_a_hypothesis_of_two_shifts_is_not_judged_by_one() -> None:
    moved = {"none": "c" * 20 + "n" * 20, "anti": "n" * 40}
    for other in ("pro", "anti"):
        letters = {"none": moved["none"] if other == "pro" else "n" * 40}
        letters |= {"anti": moved["anti"]} if other == "pro" else {"pro": "c" * 40}
        found = findings(cells(letters, LARGE))
        measured, absent = ("authorised", "unauthorised")[:: 1 if other == "pro" else -1]
        assert found["C", measured].verdict == "supported"
        assert found["C", absent].verdict == found["C", "all"].verdict == "not present"
        assert found["C", "all"].row()["p"] is None
        assert found["C", "all"].words == (
            "The run does not hold the outputs that this contrast compares; "
            f"without a valid output: large ({other})."
        )
    # one model of two in full: both shifts are of that one
    partial = cells({"none": "n" * 40, "anti": "c" * 40}, ("large-base", "30B", "Base"))
    whole = cells({"pro": "c" * 40, **moved}, LARGE)
    found = findings(whole + partial)
    assert (found["C", "all"].models, found["C", "all"].estimate) == (("large",), 0.5)
    assert (found["C", "authorised"].present, found["C", "authorised"].estimate) == (2, -0.25)
    assert (
        "1 of 2 declared comparisons are in the run; without a valid output: large-base (pro)."
        in found["C", "all"].words
    )


def test_a_pair_without_a_condition_is_left_out_and_named() -> None:
    rows = random_rows(2)
    alone = findings(rows)
    other = {"pro": "x" * 40, "none": "n" * 40, "anti": "c" * 40}
    rows += cells(other, ("large-base", "30B", "Base"), categories=4)
    other["pro"] = "c" * 40
    rows += cells(other, ("small-base", "4B", "Base"), categories=4)
    found = findings(rows)
    for part in ("all", "chat"):
        assert found["A", part].estimate == alone["A", part].estimate
        assert found["A", part].models == ("large", "small")
    assert found["A", "base"].verdict == "not present"
    assert found["A", "base"].words.endswith("without a valid output: large-base (pro).")
    assert found["A", "all"].words.endswith("in the run; without a valid output: large-base (pro).")
    assert (found["B", "all"].present, found["B", "all"].models[2:]) == (
        2,
        ("large-base", "small-base"),
    )


def test_n_counts_the_scenarios_that_enter() -> None:
    large, small = {"pro": "ccnxx", "anti": "nnxxx"}, {"pro": "cnnxx", "anti": "cxnxx"}
    grid = grid_from(cells(large, LARGE) + cells(small, SMALL))
    tests = {t.contrast: t for t in declared(grid)}
    assert tests["chat: pro"].n == 3 and tests["chat: anti"].n == 1
    # a gap is of rates over valid outputs, each of its own scenarios; two have none at all
    assert tests["chat: delta"].n == 3
    assert findings(cells(large, LARGE) + cells(small, SMALL))["A", "chat"].n == 3


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
    (row,) = table_of(rows, QUICK).primary
    gap = float(str(row["delta"]))
    assert gap == 100 * (authorised.estimate + unauthorised.estimate)
    assert gap == float(str(row["authorised"])) + float(str(row["unauthorised"]))
    assert binomtest(2, 2).pvalue == pytest.approx(authorised.p, abs=0.1)


def test_the_verb_writes_its_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = random_rows(3)
    rows += [r.model_copy(update={"judge": "other", "label": "convergence"}) for r in rows]
    write_cells(tmp_path / "cells.csv", rows)
    noted = QUICK.model_copy(update={"notes": {"other": "says convergence to all"}})
    words = ["statistics", "--cells", str(tmp_path / "cells.csv")]
    words += ["--spec", noted.model_dump_json(), "--output-dir", str(tmp_path)]
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


def test_without_a_role_a_hypothesis_is_not_present_and_says_so() -> None:
    rows = cells({"pro": "cccn", "none": "cnnn"}, LARGE) + cells({"pro": "ccnn"}, SMALL)
    plan = QUICK.analysis
    roles = study(plan, design=Design(baseline="none", amplify=("pro",)))
    found = findings(rows, roles)
    for part in (("A", "all"), ("B", "all"), ("C", "all"), ("C", "authorised")):
        assert found[part].verdict == "not present"
        assert found[part].words.endswith("the design names no suppressing intervention.")
    assert found["C", "unauthorised"].estimate == 0.5
    none = findings(rows, study(plan, design=Design()))
    assert {finding.verdict for finding in none.values()} == {"not present"}
    assert none["C", "all"].words.endswith(
        "no amplifying intervention, no baseline, no suppressing intervention."
    )
    assert declared(grid_from(rows), study(plan, design=Design())) == []


def test_texts_and_tests_name_the_interventions_of_the_roles() -> None:
    rows = cells({"warm": "cccn", "plain": "ccnn", "cold": "nnnn"}, LARGE)
    rows += cells({"warm": "ccnn", "plain": "cnnn", "cold": "nnnn"}, SMALL)
    roles = Design(baseline="plain", amplify=("warm",), suppress=("cold",))
    mine = study(QUICK.analysis, design=roles)
    found = findings(rows, mine)
    assert found["B", "all"].words.startswith("Convergence under cold, larger minus smaller")
    assert found["C", "all"].contrast.endswith(
        "plain - cold (authorised), warm - plain (unauthorised)"
    )
    names = [t.contrast for t in declared(grid_from(rows, mine), mine) if t.model_a == "large"]
    assert names[:3] == ["warm - cold", "warm - plain", "plain - cold"]
    assert names[3:7] == ["chat: warm", "chat: plain", "chat: cold", "chat: delta"]


def test_several_samples_are_tested_by_scenario() -> None:
    """Four replies that repeat one another say no more than one."""
    up, down = discordant(10, 9, 2, 9)
    once = {"pro": up, "none": down, "anti": down}
    four = {name: [letters] * 4 for name, letters in once.items()}
    plan = Analysis.model_validate({**PLAN, "permutations": 20_000})
    single, repeated = (
        next(t for t in declared(grid_from(cells(x, LARGE)), study(plan)) if t.present)
        for x in (once, four)
    )
    assert (repeated.n, repeated.only_a, repeated.only_b) == (30, 9, 2)
    assert repeated.estimate == pytest.approx(single.estimate) == pytest.approx(7 / 30)
    assert single.p == pytest.approx(binomtest(9, 11).pvalue)
    assert repeated.p == pytest.approx(single.p, abs=0.01)
    # as if they were independent, the same counts would be far below it
    assert binomtest(36, 44).pvalue < single.p / 100
