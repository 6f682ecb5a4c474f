"""Correction for judge error: formulas by hand, recovery of a known truth, held-out models."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta

from steerability import cli
from steerability.config.analysis import Analysis
from steerability.estimate.grid import grid_of, main_grids
from steerability.inference.corrected import (
    COLUMNS,
    LABELLED,
    OTHER_MODELS,
    Calibration,
    Tally,
    correct,
    prediction_powered,
    rogan_gladen,
    vary_errors,
    vary_unanimous,
)
from steerability.protocol.design import Design
from steerability.protocol.label import Label
from steerability.score.cells import CellRow, write_cells
from steerability.support.errors import UserError
from steerability.support.jsonl import write_records
from steerability.support.tables import Field, read_csv
from unit.synthetic import cells, study

QUICK = study(Analysis(resamples=300, reference_judge="truth"))
MODELS = [(name, "1B", name) for name in ("a", "b", "c", "d")]


def tally(*counts: int) -> Tally:
    return Tally(*(np.array([float(count)]) for count in counts))


def test_rogan_gladen_by_hand() -> None:
    # sensitivity 40/50, specificity 45/50: (0.30 + 0.90 - 1) / (0.80 + 0.90 - 1)
    counted = tally(100, 30, 100, 45, 50, 40)
    assert counted.sensitivity[0] == pytest.approx(0.8)
    assert counted.specificity[0] == pytest.approx(0.9)
    assert rogan_gladen(counted)[0] == pytest.approx(0.2 / 0.7)


def test_rogan_gladen_gives_up_on_a_judge_that_tells_nothing_apart() -> None:
    assert np.isnan(rogan_gladen(tally(100, 30, 100, 50, 50, 25))[0])
    # the reference never says no: nothing to learn from, left as judged
    assert rogan_gladen(tally(100, 30, 80, 60, 80, 60))[0] == pytest.approx(0.3)


def test_prediction_powered_is_the_judges_mean_plus_the_rectifier() -> None:
    rng = np.random.default_rng(1)
    judge, reference = rng.random(40) < 0.5, rng.random(40) < 0.4
    unlabelled = rng.random(100) < 0.5
    counted = tally(100, int(unlabelled.sum()), 40, int(judge.sum()), int(reference.sum()), 0)
    expected = unlabelled.mean() + (reference.astype(float) - judge.astype(float)).mean()
    assert prediction_powered(counted)[0] == pytest.approx(expected)


def noisy_run(seed: int, scenarios: int = 60) -> list[CellRow]:
    """Four models; the judge misses a third of the convergence and invents a tenth."""
    rng = np.random.default_rng(seed)
    rows = []
    for at, model in enumerate(MODELS):
        true, judged = {}, {}
        for name, rate in (("pro", 0.6 + 0.05 * at), ("none", 0.4), ("anti", 0.1 + 0.05 * at)):
            hits = rng.random(scenarios) < rate
            said = np.where(hits, rng.random(scenarios) < 0.67, rng.random(scenarios) < 0.1)
            true[name] = "".join(np.where(hits, "c", "n"))
            judged[name] = "".join(np.where(said, "c", "n"))
        rows += cells(true, model, "truth", categories=3)
        rows += cells(judged, model, "noisy", categories=3)
    return rows


def corrected_rows(rows: list[CellRow], same_run: bool = True) -> list[dict[str, Field]]:
    noisy, truth = (grid_of(rows, judge, QUICK) for judge in ("noisy", "truth"))
    return correct(noisy, Calibration(noisy, truth, same_run), QUICK)


def test_both_estimates_recover_the_truth_from_the_other_models() -> None:
    covered, nearer, trials = 0, 0, 0
    for seed in range(12):
        for row in corrected_rows(noisy_run(seed)):
            if row["quantity"] == "none":
                continue
            assert row["calibration"] == OTHER_MODELS
            assert row["calibration_n"] == 180
            low, high, truth = (float(str(row[k])) for k in ("low", "high", "reference_value"))
            covered += low <= truth <= high
            error = abs(float(str(row["corrected"])) - truth)
            nearer += error < abs(float(str(row["as_judged"])) - truth)
            trials += 1
    assert covered / trials >= 0.9
    assert nearer / trials >= 0.75


def test_a_judge_that_never_says_yes_is_not_certain_of_it() -> None:
    # 0 of 71, sensitivity 0.8, no false alarm: the sample, then resamples that all agree
    once = tally(71, 0, 100, 40, 50, 40)
    same = Tally(*(np.repeat(value, 2001) for value in vars(once).values()))
    varied = vary_unanimous(same, np.random.default_rng(1))
    corrected = rogan_gladen(varied)
    assert corrected[0] == 0
    # the upper bound of Jeffreys' interval (Brown, Cai and DasGupta 2001), over the sensitivity
    assert np.quantile(corrected[1:], 0.975) == pytest.approx(
        beta.ppf(0.975, 0.5, 71.5) / 0.8, rel=0.1
    )
    some = tally(71, 1, 100, 40, 50, 40)
    assert vary_unanimous(some, np.random.default_rng(1)) == some


def test_a_judge_that_never_erred_is_not_certain_to_be_right() -> None:
    # sensitivity 40/40, specificity 50/50 on the calibration cells; 30 of 100 judged yes
    once = tally(100, 30, 90, 40, 40, 40)
    same = Tally(*(np.repeat(value, 2001) for value in vars(once).values()))
    varied = vary_errors(same, np.random.default_rng(1))
    assert (varied.sensitivity[0], varied.specificity[0]) == (1, 1)
    for rate, n in ((varied.sensitivity, 40), (varied.specificity, 50)):
        assert np.quantile(rate[1:], 0.025) == pytest.approx(
            beta.ppf(0.025, n + 0.5, 0.5), rel=0.01
        )
    for estimate in (rogan_gladen, prediction_powered):
        assert estimate(varied)[0] == pytest.approx(0.3)
        assert np.ptp(estimate(varied)[1:]) > 0.02
    # only the rate at its bound varies; what the reference never says is left alone
    missed = vary_errors(
        Tally(*(np.repeat(value, 3) for value in vars(tally(100, 30, 90, 32, 40, 32)).values())),
        np.random.default_rng(1),
    )
    assert (missed.sensitivity == 0.8).all() and (missed.specificity[1:] < 1).all()
    one_sided = vary_errors(tally(100, 30, 80, 60, 80, 60), np.random.default_rng(1))
    assert vars(one_sided) == vars(tally(100, 30, 80, 60, 80, 60))


def test_resamples_without_an_estimate_are_counted() -> None:
    """A judge barely better than chance: some resamples tell nothing apart."""
    rng = np.random.default_rng(3)
    rows = []
    for model in MODELS:
        hits = rng.random(60) < 0.5
        said = np.where(hits, rng.random(60) < 0.55, rng.random(60) < 0.45)
        for judge, yes in (("truth", hits), ("noisy", said)):
            letters = "".join(np.where(yes, "c", "n"))
            rows += cells(dict.fromkeys(("pro", "none", "anti"), letters), model, judge, 3)
    table = corrected_rows(rows)
    weak = [float(str(r["undefined"])) for r in table if r["method"] == "rogan_gladen"]
    sound = [r["undefined"] for r in table if r["method"] == "prediction_powered"]
    assert max(weak) > 5 and set(sound) == {"0.00"}


def test_a_models_own_reference_labels_do_not_enter_its_estimate() -> None:
    rows = noisy_run(5)
    flipped = [
        row.model_copy(update={"label": "convergence"})
        if row.judge == "truth" and row.model == "a"
        else row
        for row in rows
    ]
    for before, after in zip(corrected_rows(rows), corrected_rows(flipped), strict=True):
        if before["model"] == "a":
            assert before["corrected"] == after["corrected"]


def test_partial_labels_use_every_labelled_cell() -> None:
    rows = [r for r in noisy_run(2) if r.judge == "noisy" or r.scenario < "s020"]
    for row in corrected_rows(rows):
        assert row["calibration"] == LABELLED
        assert row["calibration_n"] == 4 * 20
        assert row["reference_value"] is None


def test_judging_apart_under_pro_and_anti_is_corrected_apart() -> None:
    rows = corrected_rows(noisy_run(4))
    power = {
        (r["quantity"]): (r["sensitivity"], r["specificity"]) for r in rows if r["model"] == "a"
    }
    assert power["pro"] != power["anti"]
    assert power["delta"] == (None, None)
    assert all(row.keys() == set(COLUMNS) for row in rows)


def test_the_verb_takes_human_labels_and_another_runs_cells(tmp_path: Path) -> None:
    rows = noisy_run(7)
    noisy = [row for row in rows if row.judge == "noisy"]
    write_cells(tmp_path / "cells.csv", noisy)
    write_cells(tmp_path / "other.csv", rows)
    words = ["statistics", "--cells", str(tmp_path / "cells.csv")]
    words += ["--spec", QUICK.model_dump_json(), "--output-dir", str(tmp_path)]
    assert cli.run(words) == 0
    assert read_csv(tmp_path / "corrected.csv", COLUMNS) == []
    assert cli.run([*words, "--calibration", str(tmp_path / "other.csv")]) == 0
    table = read_csv(tmp_path / "corrected.csv", COLUMNS)
    assert {row["reference"] for row in table} == {"truth"}
    human = [
        Label(id=r.cell_id, label=r.label, reason="read", judge="ada", key="2" * 64)
        for r in rows
        if r.judge == "truth" and r.scenario < "s030"
    ]
    write_records(tmp_path / "human.jsonl", human)
    assert cli.run([*words, "--reference", str(tmp_path / "human.jsonl")]) == 0
    table = read_csv(tmp_path / "corrected.csv", COLUMNS)
    assert {row["reference"] for row in table} == {"ada"}
    assert "ada, which are that judge's labels" in (tmp_path / "corrected.md").read_text()
    stray = human[0].model_copy(update={"id": "no/such/cell"})
    write_records(tmp_path / "human.jsonl", [stray])
    assert cli.run([*words, "--reference", str(tmp_path / "human.jsonl")]) == 2


def test_two_reference_judges_are_refused(tmp_path: Path) -> None:
    from steerability.inference.corrections import correct_all

    rows = noisy_run(1)
    labels = [
        Label(id=rows[at].cell_id, label="convergence", reason="", judge=name, key="2" * 64)
        for at, name in enumerate(("ada", "bob"))
    ]
    write_records(tmp_path / "two.jsonl", labels)
    with pytest.raises(UserError, match="labels of 2 judges"):
        correct_all(rows, main_grids(rows, QUICK), QUICK, None, [tmp_path / "two.jsonl"])


def test_what_is_corrected_are_the_roles_or_else_everything() -> None:
    rows = noisy_run(3)
    names = {"pro": "polite", "none": "plain", "anti": "rude"}
    rows = [row.model_copy(update={"intervention": names[row.intervention]}) for row in rows]
    before = corrected_rows(noisy_run(3))

    def under(design: Design) -> list[dict[str, Field]]:
        mine = QUICK.model_copy(update={"design": design})
        noisy, truth = (grid_of(rows, judge, mine) for judge in ("noisy", "truth"))
        return correct(noisy, Calibration(noisy, truth, same_run=True), mine)

    roles = Design(baseline="plain", amplify=("polite",), suppress=("rude",))
    for mine, paper in zip(under(roles), before, strict=True):
        assert mine == paper | {"quantity": names.get(str(paper["quantity"]), "delta")}
    some = under(Design(baseline="plain", amplify=("polite",)))
    assert {row["quantity"] for row in some} == {"plain", "polite"}
    assert {row["quantity"] for row in under(Design())} == {"plain", "polite", "rude"}


def test_replies_to_one_scenario_are_resampled_together() -> None:
    """Three replies that repeat one another leave every number as it is with one."""
    rows = noisy_run(6)
    thrice = [row.model_copy(update={"sample": at}) for row in rows for at in range(3)]
    for one, three in zip(corrected_rows(rows), corrected_rows(thrice), strict=True):
        assert (three["n"], three["calibration_n"]) == (180, 540)
        for name in ("as_judged", "corrected", "reference_value", "sensitivity", "specificity"):
            assert three[name] == one[name]
        if one["method"] == "prediction_powered":
            # but for the bounds of shares that no resample varies, which count replies
            ends = [[float(str(row[end])) for end in ("low", "high")] for row in (one, three)]
            assert ends[1] == pytest.approx(ends[0], abs=2)
