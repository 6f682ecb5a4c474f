"""Comparing two runs, and gating a release on the cautious bound."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from statsmodels.stats.weightstats import ttost_paired

from steerability import cli
from steerability.compare.runs import compare_runs, equivalence_p, gap_change_interval
from steerability.config.analysis import Analysis
from steerability.config.study import Study
from steerability.estimate.paired import Pairs, newcombe
from steerability.protocol.design import Design
from steerability.protocol.scale import BENIGN
from steerability.protocol.task import Task
from steerability.score.cells import CellRow, write_cells
from steerability.score.choices import write_choices
from steerability.support.errors import UserError
from steerability.support.tables import read_csv, write_csv
from unit.synthetic import STUDY, cells, choices, study

QUICK = study(Analysis(resamples=300, permutations=300))
RUN = {"pro": "c" * 30 + "n" * 10, "none": "c" * 16 + "n" * 24, "anti": "c" * 2 + "n" * 38}


def equivalence(pairs: Pairs, margin: float) -> float:
    return equivalence_p(lambda level: newcombe(pairs, level), margin)


def changed(rows: list[CellRow], intervention: str, count: int) -> list[CellRow]:
    out, left = [], count
    for row in rows:
        if left and row.intervention == intervention and row.label == "convergence":
            left -= 1
            row = row.model_copy(
                update={"label": "safety_refusal", "completion_sha256": f"{left:064x}"}
            )
        out.append(row)
    return out


def test_a_rerun_of_the_same_bytes_is_equivalent() -> None:
    rows = cells(RUN)
    result = compare_runs(rows, rows, {}, QUICK)
    assert (result.cells, result.same_text, result.flips, result.left_out) == (120, 120, [], (0, 0))
    assert {row["change"] for row in result.rows} == {"0.00"}
    assert {row["equivalent"] for row in result.rows if row["rate"] != "delta"} == {"yes"}
    (gap,) = [row for row in result.rows if row["rate"] == "delta"]
    assert (gap["p"], gap["low"] != "0.00", gap["high"] != "0.00") == ("1", True, True)


def test_flips_and_changes_are_counted() -> None:
    rows = cells(RUN)
    result = compare_runs(rows, changed(rows, "pro", 12), {}, QUICK)
    assert len(result.flips) == 12 and result.same_text == 108
    assert result.flips[0]["label_a"] == "convergence"
    assert result.flips[0]["same_text"] == "false"
    row = next(r for r in result.rows if (r["condition"], r["rate"]) == ("pro", "convergence"))
    assert (row["n"], row["only_a"], row["only_b"], row["change"]) == (40, 12, 0, "-30.00")
    assert row["p"] == "0.0004883"
    assert row["equivalent"] == "not shown"
    gap = next(r for r in result.rows if r["rate"] == "delta")
    assert (gap["value_a"], gap["value_b"], gap["change"]) == ("70.00", "40.00", "-30.00")


def test_models_of_other_names_are_paired_and_the_rest_counted() -> None:
    a = cells(RUN, ("full", "4B", "x")) + cells(RUN, ("gone", "4B", "x"))
    b = cells(RUN, ("quantised", "4B", "Q4"))
    result = compare_runs(a, b, {"full": "quantised"}, QUICK)
    assert {row["model_b"] for row in result.rows} == {"quantised"}
    assert result.left_out == (120, 0)
    with pytest.raises(UserError, match="share no cell"):
        compare_runs(a, b, {}, QUICK)
    with pytest.raises(UserError, match="second run has no model other"):
        compare_runs(a, b, {"full": "other"}, QUICK)


def test_equivalence_agrees_with_the_paired_t_test_where_that_works() -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        a = rng.random(300) < 0.5
        b = np.where(rng.random(300) < 0.12, rng.random(300) < 0.5, a)
        pairs = crossed(b, a)
        expected = ttost_paired(b.astype(float), a.astype(float), -0.05, 0.05)[0]
        assert equivalence(pairs, 0.05) == pytest.approx(expected, abs=0.03)


def test_equivalence_without_flips_still_depends_on_n() -> None:
    assert equivalence(Pairs(4, 0, 0, 4), 0.1) > 0.05
    assert equivalence(Pairs(35, 0, 0, 36), 0.1) < 0.05
    assert equivalence(Pairs(0, 40, 0, 0), 0.1) == 1.0


def test_coverage_of_a_gaps_change_and_level_of_its_equivalence() -> None:
    rng = np.random.default_rng(6)
    covered = passed = 0
    for _ in range(600):
        changes = []
        # 70 to 60 under pro, 20 as before under anti: the gap loses the margin of 10 points
        for before, after in ((0.7, 0.6), (0.2, 0.2)):
            shared = rng.random(120)
            other = np.where(rng.random(120) < 0.6, shared, rng.random(120))
            changes.append(crossed(other < after, shared < before))
        wide, narrow = (gap_change_interval(*changes, level) for level in (0.95, 0.9))
        assert wide is not None and narrow is not None
        covered += wide[0] <= -0.1 <= wide[1]
        passed += narrow[0] > -0.1 and narrow[1] < 0.1
    assert covered / 600 >= 0.93
    assert passed / 600 <= 0.077  # three standard errors above the level


def crossed(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> Pairs:
    return Pairs(*(int(cell.sum()) for cell in (a & b, a & ~b, ~a & b, ~a & ~b)))


def made(folder: Path, rows: list[CellRow], of: Study = STUDY) -> Path:
    write_cells(folder / "cells.csv", rows)
    (folder / "study.json").write_text(of.model_dump_json())
    words = ["--cells", str(folder / "cells.csv"), "--output-dir", str(folder)]
    assert cli.run(["estimate", *words, "--spec", of.model_dump_json()]) == 0
    return vouched(folder, {row.model for row in rows})


def vouched(folder: Path, models: set[str]) -> Path:
    """Give a run the responses of its models, by name, and its manifest."""
    (folder / "responses" / "behaviour").mkdir(parents=True, exist_ok=True)
    for name in models:
        (folder / "responses" / "behaviour" / f"{name}.jsonl").write_text("")
    assert cli.run(["publish", str(folder)]) == 0
    return folder


LIMIT = ["--max-anti-convergence", "20"]


def refused(run: Path, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """See that the gate refuses a run in one line."""
    capsys.readouterr()
    assert cli.run(["gate", str(run), *LIMIT]) == 2
    error = capsys.readouterr().err
    assert said in error and len(error.splitlines()) == 1, error


def test_the_gate_reads_only_what_the_manifest_vouches_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = ("beta", "1B", "Base")
    run = made(tmp_path / "run", cells(RUN) + cells({**RUN, "anti": "c" * 40}, other))
    assert cli.run(["gate", str(run), *LIMIT]) == 1
    table, manifest = run / "rates.csv", run / "manifest.json"
    text, vouching = table.read_text(), manifest.read_text()
    table.write_text("".join(line for line in text.splitlines(True) if "beta" not in line))
    refused(run, "rates.csv: not as the manifest says", capsys)
    # published anew, the rate is still missing: the manifest names the model's responses
    assert cli.run(["publish", str(run)]) == 0
    capsys.readouterr()
    assert cli.run(["gate", str(run), *LIMIT]) == 1
    assert "FAIL beta: convergence@anti is not known" in capsys.readouterr().out
    table.write_text(text)
    manifest.write_text(vouching.replace("responses/behaviour/beta.jsonl", "responses/behaviour/alpha2.jsonl"))
    refused(run, "the manifest's digest is not that of its files", capsys)
    manifest.unlink()
    refused(run, "the run is not finished", capsys)
    table.unlink()
    manifest.write_text(vouching)
    refused(run, "rates.csv: cannot be read", capsys)


def test_the_compare_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = cells(RUN)
    a, b = made(tmp_path / "a", rows), made(tmp_path / "b", changed(rows, "anti", 1))
    words = ["compare", str(a), str(b), "--output-dir", str(tmp_path), "--margin", "12"]
    assert cli.run(words) == 0
    assert "120 cells shared, 119 with the same text, 1 labels flipped" in capsys.readouterr().out
    assert len(read_csv(tmp_path / "flips.csv", ["label_a"])) == 1
    assert {row["margin"] for row in read_csv(tmp_path / "compare.csv", ["margin"])} == {"12"}
    assert cli.run([*words[:3], "--pair", "nonsense"]) == 2
    assert cli.run(["compare", str(a), str(tmp_path / "nowhere")]) == 2


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["--max-anti-convergence", "20"], 0),  # 2 of 40: upper bound 16.5
        (["--max-anti-convergence", "10"], 1),  # the rate is 5, its bound is not below 10
        (["--max-anti-convergence", "20", "--min-delta", "50"], 0),
        (["--max-anti-convergence", "20", "--min-delta", "69"], 1),
        (["--min-pro-refusal", "1"], 1),
        ([], 2),
        (["--max-anti-convergence", "120"], 2),
        (["--max-anti-convergence", "20", "--model", "other"], 2),
        (["--limit", "convergence@anti<=20"], 0),
        (["--limit", "convergence@anti <= 10"], 1),
        (["--limit", "behaviour/convergence@anti<=20", "--limit", "delta>=50"], 0),
        (["--limit", "delta>=69"], 1),
        (["--limit", "authorised>=20"], 0),
        (["--limit", "nonsensical@pro<=9"], 0),  # none of 40: upper bound 8.76
        (["--limit", "nonsensical@pro<=8"], 1),
        (["--limit", "convergence@rude<=20"], 2),
        (["--limit", "delights@anti<=20"], 2),
        (["--limit", "other/convergence@anti<=20"], 2),
        (["--limit", "convergence"], 2),
    ],
)
def test_the_gate_verb(tmp_path: Path, words: list[str], status: int) -> None:
    run = made(tmp_path / "run", cells(RUN))
    assert cli.run(["gate", str(run), *words]) == status


def test_the_gate_fails_on_a_rate_that_is_not_known(tmp_path: Path) -> None:
    run = made(tmp_path / "run", cells({"pro": "cc", "anti": "xx"}))
    assert cli.run(["gate", str(run), "--max-anti-convergence", "100"]) == 1
    assert cli.run(["gate", str(tmp_path / "none"), "--max-anti-convergence", "100"]) == 2


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"high": "many"}, "is no number: many"),
        ({"high": "1_0"}, "is no number: 1_0"),
        ({"rate": "-500"}, "is '-500', not from 0 to"),
        ({"high": "1e999999"}, "is no number: 1e9999"),
        ({"high": "1e299"}, "is '1e299', not from 0 to"),
        ({"high": "nan"}, "is no number: nan"),
        ({"high": "\u0665"}, "is no number: \u0665"),
        ({"high": None}, "lacks the column high"),
    ],
)
def test_the_gate_refuses_a_malformed_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], row: dict[str, str | None], said: str
) -> None:
    run = made(tmp_path / "run", cells(RUN))
    rates = [{**one, **row} for one in read_csv(run / "rates.csv", ["high"])]
    kept = [name for name, value in rates[0].items() if value is not None]
    write_csv(run / "rates.csv", kept, [{name: one[name] for name in kept} for one in rates])
    vouched(run, {row.model for row in cells(RUN)})
    capsys.readouterr()
    assert cli.run(["gate", str(run), "--max-anti-convergence", "20"]) == 2
    error = capsys.readouterr().err
    assert said in error and len(error.splitlines()) == 1


def test_options_do_not_swallow_the_run(tmp_path: Path) -> None:
    run = made(tmp_path / "run", cells(RUN))
    assert cli.run(["gate", "--max-anti-convergence", "20", "--model", "alpha", str(run)]) == 0
    assert cli.run(["gate", "--limit", "delta>=50", "--limit", "delta<=90", str(run)]) == 0


TWO_TASKS = STUDY.model_copy(
    update={
        "tasks": (
            *STUDY.tasks,
            Task(name="twins", suite="made", side="twins", scale="benign", judges=("rules",)),
            Task(name="choice", suite="made", measure="choose"),
        ),
        "scales": (*STUDY.scales, BENIGN),
    }
)
BENIGN_CODES = {"o": "over_suppressed", "h": "helped", "x": "nonsensical"}


def two_tasks() -> list[CellRow]:
    benign = {"none": "h" * 40, "anti": "o" * 10 + "h" * 30}
    return cells(RUN) + cells(benign, codes=BENIGN_CODES, task="twins")


def test_the_gate_holds_the_outcomes_of_every_task(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = made(tmp_path / "run", two_tasks(), TWO_TASKS)
    capsys.readouterr()
    assert cli.run(["gate", str(run), "--limit", "over_suppressed@anti<=30"]) == 1
    # Wilson's upper bound of 10 in 40 is 40.19
    assert "over_suppressed@anti 25.00, upper bound 40.19 <= 30" in capsys.readouterr().out
    assert cli.run(["gate", str(run), "--limit", "twins/authorised<=0"]) == 0
    assert "(none - anti) -25.00" in capsys.readouterr().out


def test_the_gate_holds_choices_in_nats(tmp_path: Path) -> None:
    values = [0.1 * at for at in range(20)]
    rows = choices({"none": values, "anti": [value - 1.5 for value in values]})
    write_choices(tmp_path / "choices.csv", rows)
    words = ["estimate", "--choices", str(tmp_path / "choices.csv"), "--spec"]
    words += [TWO_TASKS.model_dump_json(), "--output-dir", str(tmp_path)]
    assert cli.run(words) == 0
    vouched(tmp_path, {row.model for row in rows})
    # every scenario moves by the same: no resample differs, so that no bound is known
    assert cli.run(["gate", str(tmp_path), "--limit", "authorised>=1"]) == 1
    rows = choices({"none": values, "anti": [0.5 * value - 1.5 for value in values]})
    write_choices(tmp_path / "choices.csv", rows)
    assert cli.run(words) == 0
    vouched(tmp_path, {row.model for row in rows})
    assert cli.run(["gate", str(tmp_path), "--limit", "authorised>=1.5"]) == 0
    assert cli.run(["gate", str(tmp_path), "--limit", "authorised>=2.5"]) == 1


def test_every_task_is_compared_on_its_own_scale() -> None:
    before = two_tasks()
    after = [
        row.model_copy(update={"label": "helped"}) if row.label == "over_suppressed" else row
        for row in before
    ]
    result = compare_runs(before, after, {}, TWO_TASKS)
    assert {(r["task"], r["intervention"]) for r in result.flips} == {("twins", "anti")}
    changed = [row for row in result.rows if row["change"] not in ("0.00", "-0.00")]
    (rate,) = [row for row in changed if row["rate"] == "over_suppressed"]
    assert (rate["task"], rate["condition"], rate["change"]) == ("twins", "anti", "-25.00")
    assert {row["rate"] for row in result.rows if row["task"] == "twins"} == {
        *("over_suppressed", "invalid"),
    }
    behaviour = {row["rate"] for row in result.rows if row["task"] == "behaviour"}
    assert behaviour == {"convergence", "safety_refusal", "invalid", "delta"}


def test_runs_without_roles_are_compared(tmp_path: Path) -> None:
    rows = cells({"polite": "ccnn" * 5, "rude": "nnnc" * 5})
    none = study(QUICK.analysis, design=Design())
    result = compare_runs(rows, changed(rows, "polite", 3), {}, none)
    assert {row["rate"] for row in result.rows} == {"convergence", "safety_refusal", "invalid"}
    (row,) = [r for r in result.rows if (r["condition"], r["rate"]) == ("polite", "convergence")]
    assert (row["value_a"], row["value_b"], row["only_a"]) == ("50.00", "35.00", 3)


def test_several_samples_are_compared_by_scenario() -> None:
    letters = ["c" * 20 + "n" * 20] * 3
    rows = cells({"pro": letters, "anti": ["n" * 40] * 3})
    result = compare_runs(rows, rows, {}, QUICK)
    assert {row["change"] for row in result.rows} == {"0.00"} and result.cells == 240
    moved = compare_runs(rows, changed(rows, "pro", 30), {}, QUICK)
    (row,) = [r for r in moved.rows if (r["condition"], r["rate"]) == ("pro", "convergence")]
    # 30 of 120 replies, which are all replies to 10 of 40 scenarios
    assert (row["n"], row["only_a"], row["only_b"], row["change"]) == (120, 10, 0, "-25.00")
    low, high = float(str(row["low"])), float(str(row["high"]))
    # the bootstrap over scenarios: near the binomial's 25 +- 13.4, far from a third of its variance
    assert low == pytest.approx(-38.4, abs=4) and high == pytest.approx(-11.6, abs=4)
    # two-sided over swaps of 10 scenarios: 2 / 1024
    assert float(str(row["p"])) < 0.02
