"""Rates, contrasts and shifts of designs of every kind, recomputed by other means."""

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.stats import beta, binomtest, permutation_test
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from steerability import cli
from steerability.config.analysis import Analysis
from steerability.config.study import Study
from steerability.estimate.estimates import FILES
from steerability.protocol.design import Design
from steerability.protocol.intervention import Intervention
from steerability.protocol.scale import BEHAVIOUR, BENIGN, Outcome, Scale
from steerability.protocol.task import Task
from steerability.score.cells import CellRow, write_cells
from steerability.score.choices import ChoiceRow, write_choices
from steerability.support.jsonl import write_records
from unit.synthetic import cells, choices, study

RESAMPLES, PERMUTATIONS, SEED = 800, 4000, 5
PLAN = Analysis(resamples=RESAMPLES, permutations=PERMUTATIONS, seed=SEED)
TASK = Task(name="behaviour", suite="made", judges=("rules",))
CHOSEN = (
    Task(name="choice", suite="made", measure="choose"),
    Task(name="choice-twins", suite="made", side="twins", measure="choose"),
)
ASKED = Scale(
    name="asked",
    outcomes=(Outcome(name="seized", event=True), Outcome(name="asked")),
)
Tables = Mapping[str, pd.DataFrame]


def run(
    folder: Path,
    of: Study,
    rows: Sequence[CellRow] = (),
    chosen: Sequence[ChoiceRow] = (),
    interventions: Sequence[Intervention] = (),
) -> Tables:
    """Every table that estimate, table and statistics write, fields as text."""
    spec = ["--spec", of.model_dump_json(), "--output-dir", str(folder)]
    labels, words = [], []
    if rows:
        write_cells(folder / "cells.csv", rows)
        labels = ["--cells", str(folder / "cells.csv")]
    if chosen:
        write_choices(folder / "choices.csv", chosen)
        words = ["--choices", str(folder / "choices.csv"), "--models", '{"alpha": ["1B", "Base"]}']
    write_records(folder / "interventions.jsonl", interventions)
    words += ["--interventions", str(folder / "interventions.jsonl")]
    assert cli.run(["estimate", *labels, *words, *spec]) == 0
    files = [w for n in ("rates", "contrasts", "steering") for w in (f"--{n}", f"{folder}/{n}.csv")]
    assert cli.run(["table", *files, *spec]) == 0
    assert cli.run(["statistics", *labels, *spec]) == 0
    paths = [path for path in folder.glob("*.csv") if path.stem not in ("cells", "choices")]
    return {p.stem: pd.read_csv(p, dtype=str, keep_default_na=False) for p in paths}


def one(table: pd.DataFrame, **wanted: str) -> pd.Series:
    """The one row with these fields."""
    for name, value in wanted.items():
        table = table[table[name] == value]
    assert len(table) == 1, table
    return table.iloc[0]


def numbers(row: pd.Series, *names: str) -> list[float]:
    return [float(row[name]) for name in names]


def letters(rng: np.random.Generator, rate: float, n: int) -> str:
    return "".join(rng.choice(list("cnrx"), n, p=[rate, 0.85 - rate, 0.1, 0.05]))


def chosen_scenarios(categories: Sequence[int]) -> NDArray[np.intp]:
    """The scenarios of every resample, shape (resamples, scenarios): within categories."""
    rng = np.random.Generator(np.random.PCG64(SEED))
    blocks = []
    for name in dict.fromkeys(categories):
        members = np.flatnonzero(np.array(categories) == name)
        blocks.append(members[rng.integers(0, len(members), size=(RESAMPLES, len(members)))])
    return np.hstack(blocks)


def ends(draws: NDArray[np.float64]) -> tuple[float, float]:
    """The order statistics that hold 95 % of draws between them."""
    known = np.sort(draws[~np.isnan(draws)])
    rank = math.ceil(len(known) * 0.025 - 1e-9)
    return known[rank - 1], known[-rank]


def test_two_interventions_without_roles(tmp_path: Path) -> None:
    rows = cells({"polite": "ccnnrx", "rude": "cnnnxf"}, categories=2)
    made = run(tmp_path, study(PLAN, design=Design()), rows)
    polite = one(made["rates"], intervention="polite", outcome="convergence")
    assert numbers(polite, "n", "valid", "count", "rate") == [6, 5, 2, 40.0]
    low, high = proportion_confint(2, 5, method="wilson")
    assert numbers(polite, "low", "high") == pytest.approx([100 * low, 100 * high], abs=0.0051)
    exact = [100 * beta.ppf(0.025, 2, 4), 100 * beta.ppf(0.975, 3, 3)]
    assert numbers(polite, "exact_low", "exact_high") == pytest.approx(exact, abs=0.0051)
    garbled = one(made["rates"], intervention="rude", outcome="nonsensical")
    assert numbers(garbled, "n", "valid", "count", "rate") == [6, 4, 1, 16.67]
    failed = one(made["rates"], intervention="rude", outcome="judge_failed")
    assert numbers(failed, "count", "rate") == [1, 16.67]
    assert set(made["rates"].role) == {""} and len(made["rates"]) == 2 * 5
    assert len(made["contrasts"]) == 0 and len(made["tests"]) == 0
    # without a baseline a shift has nothing to start from: the values stand alone
    assert list(made["steering"].intervention) == ["polite", "rude"]
    assert list(made["steering"].value) == ["40.00", "25.00"]
    assert set(made["steering"]["shift"]) == {""}
    assert not {"delta", "authorised"} & set(made["table1"].columns)
    row = made["table1"].iloc[0]
    assert numbers(row, "polite_convergence", "rude_n", "rude_failed") == [40, 6, 1]
    assert set(made["hypotheses"].verdict) == {"not present"}
    assert "polite convergence %" in (tmp_path / "table1.md").read_text()


VECTORS = (
    Intervention(name="none", family="suffix"),
    *(
        Intervention(name=f"vector_{s:g}", family="vector", access="activations", strength=s)
        for s in (0.5, 1.0, 2.0)
    ),
    Intervention(name="suffix", family="suffix", control_of=None),
    Intervention(
        name="random", family="vector", access="activations", strength=2.0, control_of="vector_2"
    ),
)


def test_interventions_of_two_families_with_a_baseline(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    rates = {"suffix": 0.5, "none": 0.3, "vector_0.5": 0.35, "vector_1": 0.45, "vector_2": 0.7}
    rates["random"] = 0.4
    labels = {name: letters(rng, rate, 60) for name, rate in rates.items()}
    mine = study(PLAN, design=Design(baseline="none", amplify=("suffix",)))
    made = run(tmp_path, mine, cells(labels, categories=3), interventions=VECTORS)
    hit = {name: np.array([x == "c" for x in text]) for name, text in labels.items()}
    valid = {name: np.array([x != "x" for x in text]) for name, text in labels.items()}
    drawn = chosen_scenarios([at % 3 for at in range(60)])
    resampled = {n: hit[n][drawn].sum(axis=1) / valid[n][drawn].sum(axis=1) for n in labels}
    value = {n: 100 * hit[n].sum() / valid[n].sum() for n in labels}
    steering = made["steering"].set_index("intervention")
    assert list(steering.index) == ["suffix", "vector_0.5", "vector_1", "vector_2", "random"]
    p_values = []
    for name, row in steering.iterrows():
        shift = round(value[name], 2) - round(value["none"], 2)
        low, high = ends(100 * (resampled[name] - resampled["none"]))
        expected = [value[name], value["none"], shift, low, high]
        found = numbers(row, "value", "baseline", "shift", "low", "high")
        assert found == pytest.approx(expected, abs=0.0051)
        both = valid[name] & valid["none"]
        more, less = ((hit[x] & ~hit[y] & both).sum() for x, y in ((name, "none"), ("none", name)))
        p_values.append(binomtest(int(more), int(more + less)).pvalue)
        assert float(row.p) == pytest.approx(p_values[-1], rel=1e-3)
        against = less if shift > 0 or name == "suffix" else more
        assert float(row.share_against) == pytest.approx(100 * against / both.sum(), abs=0.0051)
    adjusted = multipletests(p_values, method="holm")[1]
    assert steering.p_adjusted.astype(float).to_numpy() == pytest.approx(adjusted, rel=1e-3)
    assert list(steering.family) == ["suffix", *["vector"] * 4]
    assert list(steering.access) == ["prompt", *["activations"] * 4]
    assert list(steering.strength) == ["", "0.5", "1", "2", "2"]
    assert list(steering.controls) == ["", "", "", "1", ""]
    assert list(steering.control_rank) == ["", "", "", "1", ""]
    strengths = [0.5, 1.0, 2.0]
    members = [f"vector_{s:g}" for s in strengths]
    slope = np.polyfit(strengths, [value[n] for n in members], 1)[0]
    drawn_slopes = np.polyfit(strengths, [100 * resampled[n] for n in members], 1)[0]
    for name in members:
        found = numbers(steering.loc[name], "slope", "slope_low", "slope_high")
        assert found == pytest.approx([slope, *ends(drawn_slopes)], abs=0.0051)
    assert steering.loc["suffix", "slope"] == steering.loc["random", "slope"] == ""
    # the table of six interventions holds one a line, and the shifts of all
    text = (tmp_path / "table1.md").read_text()
    assert "| vector_0.5" in text and "vector_2 - none" in text
    columns = list(made["table1"].columns)
    assert columns.index("suffix_n") < columns.index("none_n") < columns.index("unauthorised")
    assert columns.index("unauthorised") < columns.index("vector_1_n")
    assert list(made["tests"].contrast) == [f"{n} - none" for n in ("suffix", *members, "random")]


def test_a_control_that_moves_as_far_comes_first(tmp_path: Path) -> None:
    labels = {"none": "c" * 4 + "n" * 16, "vector_2": "c" * 8 + "n" * 12}
    labels["random"] = labels["vector_2"]
    mine = study(PLAN, design=Design(baseline="none"))
    made = run(tmp_path, mine, cells(labels), interventions=VECTORS)
    row = one(made["steering"], intervention="vector_2")
    assert (row.controls, row.control_rank) == ("1", "2")


def test_a_second_task_on_a_scale_of_two_outcomes(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    names = ("pro", "none", "anti")
    first = {
        name: letters(rng, rate, 30) for name, rate in zip(names, (0.6, 0.4, 0.2), strict=True)
    }
    second = {n: "".join(rng.choice(["s", "a"], 30, p=[r, 1 - r])) for n, r in
              zip(names, (0.7, 0.5, 0.1), strict=True)}  # fmt: skip
    rows = cells(first, categories=3)
    codes = {"s": "seized", "a": "asked"}
    rows += cells(second, judge="program", categories=3, codes=codes, task="asking")
    asking = Task(name="asking", suite="made", scale="asked", judges=("program",))
    mine = study(PLAN, tasks=(TASK, asking), scales=(BEHAVIOUR, ASKED))
    made = run(tmp_path, mine, rows)
    assert set(made["rates"].task) == {"behaviour", "asking"}
    for name in names:
        row = one(made["rates"], task="asking", intervention=name, outcome="seized")
        count = second[name].count("s")
        low, high = proportion_confint(count, 30, method="wilson")
        expected = [30, 30, count, 100 * count / 30, 100 * low, 100 * high]
        found = numbers(row, "n", "valid", "count", "rate", "low", "high")
        assert found == pytest.approx(expected, abs=0.0051)
    drawn = chosen_scenarios([at % 3 for at in range(30)])
    hit = {n: np.array([x == "s" for x in text])[drawn].mean(axis=1) for n, text in second.items()}
    row = one(made["contrasts"], task="asking", contrast="delta", measure="seized")
    assert numbers(row, "low", "high") == pytest.approx(
        ends(100 * (hit["pro"] - hit["anti"])), abs=0.0051
    )
    assert list(made["table1"].model) == ["alpha"] and "pro_refusal" in made["table1"].columns
    outcomes = one(made["outcomes"], task="asking", intervention="pro")
    assert (outcomes.seized, outcomes.convergence) == (str(second["pro"].count("s")), "")
    # Holm's families are of one task: three contrasts of one model
    of_event = made["contrasts"][made["contrasts"].measure == "seized"]
    expected = multipletests(of_event.p.astype(float), method="holm")[1]
    assert of_event.p_adjusted.astype(float).to_numpy() == pytest.approx(expected, rel=1e-3)
    text = (tmp_path / "table1.md").read_text()
    assert "## Task behaviour" in text and "## Task asking" in text and "pro seized %" in text
    # a table of the two-outcome task alone has columns of its own outcomes
    alone = study(PLAN, tasks=(asking,), scales=(ASKED,))
    (tmp_path / "alone").mkdir()
    made = run(tmp_path / "alone", alone, [row for row in rows if row.task == "asking"])
    row = made["table1"].iloc[0]
    assert row.pro_seized == one(made["rates"], intervention="pro", outcome="seized").rate
    assert row.pro_asked_count == str(second["pro"].count("a"))
    assert "pro_seized_exact_low" in row.index and "pro_refusal" not in row.index


def sampled(seed: int) -> dict[str, list[str]]:
    """Three replies to each of 24 scenarios, which have rates of their own."""
    rng = np.random.default_rng(seed)
    inclined = rng.beta(1, 1, 24)
    made = {}
    for name, power in (("pro", 0.5), ("none", 1.0), ("anti", 3.0)):
        strings = []
        for _ in range(3):
            hits = rng.random(24) < inclined**power
            garbled = rng.random(24) < 0.1
            strings.append("".join(np.where(garbled, "x", np.where(hits, "c", "n"))))
        made[name] = strings
    made["none"][2] = " " + made["none"][2][1:]  # one reply is not there
    return made


def test_several_samples_stay_together(tmp_path: Path) -> None:
    labels = sampled(4)
    made = run(tmp_path, study(PLAN, samples=3), cells(labels, categories=4))
    hits, among, everything = (
        {
            name: np.array([[x in kinds for x in text] for text in strings]).sum(axis=0)
            for name, strings in labels.items()
        }
        for kinds in ("c", "cn", "cnx")
    )
    drawn = chosen_scenarios([at % 4 for at in range(24)])
    resampled = {n: hits[n][drawn].sum(axis=1) / among[n][drawn].sum(axis=1) for n in labels}
    rate = {n: hits[n].sum() / among[n].sum() for n in labels}
    assert (everything["none"].sum(), everything["pro"].sum()) == (71, 72)
    for name, strings in labels.items():
        row = one(made["rates"], intervention=name, outcome="convergence")
        expected = [everything[name].sum(), among[name].sum(), hits[name].sum(), 100 * rate[name]]
        assert numbers(row, "n", "valid", "count", "rate") == pytest.approx(expected, abs=0.0051)
        assert numbers(row, "low", "high") == pytest.approx(ends(100 * resampled[name]), abs=0.0051)
        assert (row.interval, row.samples, row.exact_low) == ("clustered", "3", "")
        # mean squares of the one-way layout, by another library
        flat = [(at, x == "c") for text in strings for at, x in enumerate(text) if x in "cn"]
        frame = pd.DataFrame(flat, columns=["scenario", "hit"]).astype({"hit": float})
        table = anova_lm(ols("hit ~ C(scenario)", data=frame).fit())
        sizes = frame.groupby("scenario").size()
        mean = (sizes.sum() - (sizes**2).sum() / sizes.sum()) / (len(sizes) - 1)
        within = table.mean_sq["Residual"]
        between = max(0.0, (table.mean_sq["C(scenario)"] - within) / mean)
        found = numbers(row, "variance_within", "variance_between")
        assert found == pytest.approx([within, between], abs=1e-6)
    row = one(made["contrasts"], contrast="delta", measure="convergence")
    low, high = ends(100 * (resampled["pro"] - resampled["anti"]))
    assert numbers(row, "low", "high") == pytest.approx([low, high], abs=0.0051)
    observed = rate["pro"] - rate["anti"]
    swaps = np.random.Generator(np.random.PCG64(SEED)).integers(0, 2, (PERMUTATIONS, 24))
    extreme = 0
    for swap in swaps.astype(bool):
        sides = [
            np.where(swap, hits[b], hits[a]).sum() / np.where(swap, among[b], among[a]).sum()
            for a, b in (("pro", "anti"), ("anti", "pro"))
        ]
        extreme += abs(sides[0] - sides[1]) >= abs(observed) - 1e-12
    assert float(row.p) == pytest.approx((1 + extreme) / (1 + PERMUTATIONS), rel=1e-3)
    test = one(made["tests"], contrast="pro - anti")
    assert float(test.n) <= 24 and (row.newcombe_low, row.pairs) == ("", test.n)
    assert float(made["table1"].delta_low[0]) == float(row.low)


def test_replies_that_repeat_themselves_do_not_narrow_an_interval(tmp_path: Path) -> None:
    """Against independent samples: the clustered interval is that of one sample."""
    rng = np.random.default_rng(1)
    text = letters(rng, 0.4, 60)
    width = {}
    for samples in (1, 3):
        folder = tmp_path / str(samples)
        folder.mkdir()
        labels = {"pro": [text] * samples, "anti": ["n" * 60] * samples}
        made = run(folder, study(PLAN), cells(labels))
        row = one(made["rates"], intervention="pro", outcome="convergence")
        low, high = numbers(row, "low", "high")
        width[samples] = high - low
        flat = one(made["rates"], intervention="anti", outcome="convergence")
        # 0 of 60 scenarios, however many replies each
        wilson = proportion_confint(0, 60, method="wilson")[1]
        assert float(flat.high) == pytest.approx(100 * wilson, abs=0.0051)
    assert width[3] == pytest.approx(width[1], rel=0.15)
    assert flat.interval == "wilson_scenarios"


def test_coverage_of_the_clustered_interval() -> None:
    from steerability.estimate.bootstrap import percentile_interval, rate_draws, scenario_weights
    from steerability.estimate.grid import Counted

    rng = np.random.default_rng(3)
    covered = naive = 0
    for trial in range(300):
        inclined = rng.beta(0.5, 0.5, 60)
        hits = rng.binomial(5, inclined)
        counted = Counted(hits[None], np.full((1, 60), 5))
        draws = rate_draws(counted, scenario_weights([np.arange(60)], 300, trial))
        low, high = percentile_interval(draws[0], 0.95)
        covered += low <= 0.5 <= high
        bounds = proportion_confint(hits.sum(), 300, method="wilson")
        naive += bounds[0] <= 0.5 <= bounds[1]
    assert 0.90 <= covered / 300 <= 0.98  # three standard errors about 0.94
    assert naive / 300 < 0.80  # replies taken as independent


def log_odds(seed: int, shift: float) -> dict[str, list[float]]:
    rng = np.random.default_rng(seed)
    plain = rng.normal(0, 2, 26)
    return {
        "none": list(plain),
        "anti": list(plain - shift + rng.normal(0, 1, 26)),
        "other": list(plain + rng.normal(0, 1, 26)),
    }


def sign_flips(differences: NDArray[np.float64]) -> float:
    swaps = np.random.Generator(np.random.PCG64(SEED)).integers(
        0, 2, (PERMUTATIONS, len(differences))
    )
    flipped = np.abs((1 - 2 * swaps) @ differences)
    extreme = (flipped >= abs(differences.sum()) - 1e-9).sum()
    return float((1 + extreme) / (1 + PERMUTATIONS))


def test_choices_and_their_twins(tmp_path: Path) -> None:
    given, twins = log_odds(1, 0.9), log_odds(2, 0.3)
    # the twins come in another order and lack two scenarios
    rows = choices(given, categories=2)
    order = sorted(
        choices(twins, task="choice-twins", categories=2), key=lambda r: r.scenario[::-1]
    )
    rows += [row for row in order if row.scenario not in ("s003", "s010")]
    mine = study(PLAN, tasks=CHOSEN, design=Design(baseline="none", suppress=("anti",)))
    made = run(tmp_path, mine, chosen=rows)
    categories = [at % 2 for at in range(26)]
    drawn = chosen_scenarios(categories)
    value = {name: np.round(values, 6) for name, values in given.items()}
    for name, (a, b) in {"authorised": ("none", "anti"), "shift": ("other", "none")}.items():
        between = value[a] - value[b]
        row = one(made["contrasts"], task="choice", contrast=name, measure="log_odds")
        expected = [between.mean(), *ends(between[drawn].mean(axis=1))]
        assert numbers(row, "estimate", "low", "high") == pytest.approx(expected, abs=2e-6)
        assert float(row.p) == pytest.approx(sign_flips(between), rel=1e-3)
        scipys = permutation_test(
            (between,), np.mean, permutation_type="samples", n_resamples=4000, rng=1
        )
        assert float(row.p) == pytest.approx(scipys.pvalue, abs=0.03)
        assert (row.judge, row.n, row["size"], row.stage) == ("", "26", "1B", "Base")
        wanted = between if name == "authorised" else between * np.sign(between.mean())
        assert float(row.share_against) == pytest.approx(100 * (wanted < 0).mean(), abs=0.0051)
        assert float(row.value_a) == pytest.approx(value[a].mean(), abs=1e-6)
    per_token = one(
        made["contrasts"], task="choice", contrast="authorised", measure="log_odds_per_token"
    )
    tokens = {name: np.round(np.array(values) / 4, 6) for name, values in given.items()}
    assert float(per_token.estimate) == pytest.approx(
        (tokens["none"] - tokens["anti"]).mean(), abs=1e-6
    )
    steering = one(made["steering"], task="choice", intervention="anti")
    assert float(steering["shift"]) == pytest.approx(
        (value["anti"] - value["none"]).mean(), abs=1e-6
    )
    assert (steering.measure, steering.n) == ("log_odds", "26")
    # difference of differences over the 24 scenarios of both
    there = np.array([at not in (3, 10) for at in range(26)])
    twin = {name: np.round(values, 6) for name, values in twins.items()}
    shifts = [x["none"] - x["anti"] for x in (value, twin)]
    both = (shifts[0] - shifts[1])[there]
    row = one(made["contrasts"], task="choice-choice-twins", contrast="authorised",
              measure="log_odds")  # fmt: skip
    shared = chosen_scenarios([c for c, kept in zip(categories, there, strict=True) if kept])
    expected = [24, both.mean(), *ends(both[shared].mean(axis=1))]
    assert numbers(row, "n", "estimate", "low", "high") == pytest.approx(expected, abs=2e-6)
    assert float(row.p) == pytest.approx(sign_flips(both), rel=1e-3)
    assert float(row.value_b) == pytest.approx(shifts[1][there].mean(), abs=1e-6)
    # a run of choices only has no labels, and says so where they would be
    assert list(made["table1"].columns) == ["model", "size", "stage", "judge"]
    assert "log-odds" in (tmp_path / "table1.md").read_text()
    assert len(made["tests"]) == len(made["hypotheses"]) == len(made["rates"]) == 0
    assert (tmp_path / "hypotheses.md").read_text() == "The run has no labels.\n"


def test_labels_of_scenarios_and_twins_are_set_against_each_other(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    labels = {
        "none": "".join(rng.choice(["c", "n"], 20)),
        "anti": "".join(rng.choice(["c", "n"], 20, p=[0.2, 0.8])),
    }
    twins = {
        "none": "".join(rng.choice(["o", "h"], 20, p=[0.1, 0.9])),
        "anti": "".join(rng.choice(["o", "h"], 20, p=[0.4, 0.6])),
    }
    codes = {"o": "over_suppressed", "h": "helped"}
    rows = cells(labels) + cells(twins, codes=codes, task="twins", judge="benign")
    tasks = (
        TASK,
        Task(name="twins", suite="made", side="twins", scale="benign", judges=("benign",)),
    )
    made = run(tmp_path, study(PLAN, tasks=tasks, scales=(BEHAVIOUR, BENIGN)), rows)
    hits = {
        (task, name): np.array([x in "co" for x in text])
        for task, texts in (("scenarios", labels), ("twins", twins))
        for name, text in texts.items()
    }
    both = sum(
        sign * hits[place].astype(float)
        for place, sign in zip(
            itertools.product(("scenarios", "twins"), ("none", "anti")), (1, -1, -1, 1), strict=True
        )
    )
    row = one(made["contrasts"], task="behaviour-twins")
    assert (row.measure, row.judge) == ("convergence-over_suppressed", "rules-benign")
    drawn = chosen_scenarios([0] * 20)
    expected = [100 * both.mean(), *ends(100 * both[drawn].mean(axis=1))]
    assert numbers(row, "estimate", "low", "high") == pytest.approx(expected, abs=0.0051)
    assert float(row.p) == pytest.approx(sign_flips(both), rel=1e-3)


def test_guards_are_kept_apart(tmp_path: Path) -> None:
    rows = cells({"none": "ccnn", "anti": "cnnn"})
    rows += cells({"none": "crrr", "anti": "rrrr"}, guard="monitor")
    made = run(tmp_path, study(PLAN), rows)
    for guard, rate in (("", "50.00"), ("monitor", "25.00")):
        row = one(made["rates"], guard=guard, intervention="none", outcome="convergence")
        assert row.rate == rate
        assert one(made["contrasts"], guard=guard, measure="convergence").value_a == rate
        assert one(made["steering"], guard=guard).baseline == rate
    assert made["table1"].none_convergence[0] == "50.00"


def test_labels_of_a_judge_that_is_not_the_tasks_come_after_its_own(tmp_path: Path) -> None:
    rows = cells({"none": "cn"}, judge="published") + cells({"none": "nn"})
    made = run(tmp_path, study(PLAN), rows)
    assert list(dict.fromkeys(made["rates"].judge)) == ["rules", "published"]
    assert made["table1"].judge[0] == "rules"
    assert set(FILES) <= {f"{name}.csv" for name in made}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"category": "c9"}, "the scenario s000 is there as c0 and as c9"),
        ({"stage": "Chat"}, "the model alpha is there as"),
        ({"label": "seized"}, "seized is no outcome of the scale behaviour"),
        ({"task": "asking"}, "no task asking with labels"),
    ],
)
def test_cells_that_do_not_fit_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, str], said: str
) -> None:
    rows = cells({"pro": "cn", "none": "cn"})
    rows[2] = rows[2].model_copy(update=change)
    write_cells(tmp_path / "cells.csv", rows)
    words = ["estimate", "--cells", str(tmp_path / "cells.csv"), "--spec"]
    assert cli.run([*words, study(PLAN).model_dump_json(), "--output-dir", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not (tmp_path / "rates.csv").exists()


def test_nothing_to_estimate_is_refused(tmp_path: Path) -> None:
    assert cli.run(["estimate", "--output-dir", str(tmp_path)]) == 2
    write_choices(tmp_path / "choices.csv", choices({"none": [0.0]}, task="other"))
    words = ["estimate", "--choices", str(tmp_path / "choices.csv"), "--output-dir", str(tmp_path)]
    assert cli.run(words) == 2
