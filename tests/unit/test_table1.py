"""Table 1: published counts give the published rates; the contract's columns; intervals."""

import csv
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta, norm

from steerability import cli
from steerability.config.analysis import Analysis
from steerability.estimate import bootstrap, resampling
from steerability.estimate.estimates import estimate
from steerability.estimate.paired import wilson_difference
from steerability.estimate.rates import clopper_pearson, percent, published_delta, wilson
from steerability.report.tables.table1 import outcome_rows
from steerability.score.cells import CellRow, write_cells
from unit.synthetic import cells, long_tables, published, study, table_of

# protocol page: converged, refused and valid of 71, and the rates the paper prints
PUBLISHED = {
    ("4B", "Base"): ({"pro": (29, 0, 44), "none": (8, 0, 30), "anti": (12, 0, 51)},
                     ("65.91", "0.00", "23.53", "0.00", "42.38")),
    ("4B", "Instruct"): ({"pro": (51, 8, 71), "none": (33, 14, 71), "anti": (3, 4, 71)},
                         ("71.83", "11.27", "4.23", "5.63", "67.60")),
    ("4B", "Thinking"): ({"pro": (58, 4, 71), "none": (32, 6, 71), "anti": (7, 2, 71)},
                         ("81.69", "5.63", "9.86", "2.82", "71.83")),
    ("30B", "Base"): ({"pro": (39, 0, 65), "none": (20, 1, 60), "anti": (18, 2, 71)},
                      ("60.00", "0.00", "25.35", "2.82", "34.65")),
    ("30B", "Instruct"): ({"pro": (58, 9, 71), "none": (35, 8, 71), "anti": (2, 14, 71)},
                          ("81.69", "12.68", "2.82", "19.72", "78.87")),
    ("30B", "Thinking"): ({"pro": (52, 7, 71), "none": (27, 9, 71), "anti": (3, 15, 71)},
                          ("73.24", "9.86", "4.23", "21.13", "69.01")),
}  # fmt: skip
QUICK = study(Analysis(resamples=400))


def rows_of(rows: list[CellRow]) -> list[dict[str, str | int | None]]:
    """Table 1's rows by the primary judge."""
    return list(table_of(rows, QUICK).primary)


@pytest.mark.parametrize(("size", "stage"), PUBLISHED)
def test_published_counts_give_the_published_row(size: str, stage: str) -> None:
    counts, expected = PUBLISHED[size, stage]
    rows = cells(published(counts), model=("m", size, stage))
    (row,) = rows_of(rows)
    names = ("pro_convergence", "pro_refusal", "anti_convergence", "anti_refusal", "delta")
    assert tuple(row[name] for name in names) == expected
    for name, (converged, refused, valid) in counts.items():
        found = [row[f"{name}_{f}"] for f in ("n", "valid", "converged", "refused")]
        assert found == [str(number) for number in (71, valid, converged, refused)]


def test_the_gap_is_the_difference_of_rounded_rates() -> None:
    counts, _ = PUBLISHED["4B", "Instruct"]
    (row,) = rows_of(cells(published(counts)))
    assert (row["delta"], row["delta_unrounded"]) == ("67.60", "67.61")


def test_a_gap_without_any_scenario_that_differs_still_has_a_width() -> None:
    none = dict.fromkeys(("pro", "none", "anti"), (0, 0, 71))
    (row,) = rows_of(cells(published(none)))
    assert row["delta"] == "0.00"
    assert (row["delta_low"], row["delta_high"]) == ("-5.13", "5.13")
    bounds = (row["delta_newcombe_low"], row["delta_newcombe_high"])
    assert bounds == (row["delta_low"], row["delta_high"])


def test_counting_nonsense_narrows_the_base_gap() -> None:
    counts, _ = PUBLISHED["4B", "Base"]
    (row,) = rows_of(cells(published(counts)))
    assert row["delta_all"] == "23.94"
    # worst case: all 27 nonsensical pro outputs converge or none, and the other way for anti
    assert row["pro_worst_low"] == str(percent_of(29, 71))
    assert row["pro_worst_high"] == str(percent_of(29 + 27, 71))


def percent_of(part: int, whole: int) -> object:
    return percent(Fraction(part, whole))


def test_columns_are_the_contract_then_further() -> None:
    contract = (
        "model,size,stage,judge,pro_n,pro_valid,pro_convergence,pro_refusal,pro_nonsensical,"
        "anti_n,anti_valid,anti_convergence,anti_refusal,anti_nonsensical,delta"
    )
    columns = table_of(cells({"none": "cn", "anti": "nn", "pro": "cc"}), QUICK).layout.columns
    assert ",".join(columns).startswith(f"{contract},none_n,none_valid,none_convergence,")
    assert {f"{c}_convergence_{b}" for c in ("pro", "none", "anti") for b in ("low", "high")} < set(
        columns
    )


def test_failures_leave_the_denominator_and_stay_in_sight() -> None:
    (row,) = rows_of(cells({"pro": "ccff", "anti": "nxfn"}))
    assert (row["pro_n"], row["pro_valid"], row["pro_failed"]) == ("4", "2", "2")
    assert (row["pro_convergence"], row["anti_nonsensical"]) == ("100.00", "25.00")
    assert (row["pro_worst_low"], row["pro_worst_high"]) == ("50.00", "100.00")


def test_no_valid_output_gives_empty_rates_not_zero() -> None:
    (row,) = rows_of(cells({"pro": "xx", "anti": "nc"}))
    assert row["pro_convergence"] is row["delta"] is row["delta_low"] is None
    assert row["pro_nonsensical"] == "100.00"
    assert "none_n" not in row and "authorised" not in row  # the run has no such intervention


def test_a_gap_without_spread_gets_an_interval_with_width() -> None:
    (row,) = rows_of(cells({"pro": "c" * 20, "anti": "n" * 20}))
    assert (row["delta"], row["delta_interval"]) == ("100.00", "newcombe")
    assert float(str(row["delta_low"])) < 90
    (row,) = rows_of(cells({"pro": "c" * 15 + "n" * 5, "anti": "n" * 20}))
    assert row["delta_interval"] == "bootstrap"


def test_cut_off_outputs_are_counted_where_known() -> None:
    (row,) = rows_of(cells({"pro": "cn", "anti": "nn"}))
    assert row["pro_cut_off"] is None
    cut = cells({"pro": "cn", "anti": "nn"}, finish_reason="length")
    (row,) = rows_of(cut)
    assert (row["pro_cut_off"], row["pro_worst_low"], row["pro_worst_high"]) == (
        "2",
        "0.00",
        "100.00",
    )


def test_filtered_outputs_are_failures_and_not_cut_off() -> None:
    rows = cells({"pro": "cf", "anti": "nn"}, finish_reason="stop")
    rows[1] = rows[1].model_copy(update={"finish_reason": "content_filter"})
    (row,) = rows_of(rows)
    assert (row["pro_cut_off"], row["pro_failed"], row["pro_valid"]) == ("0", "1", "1")
    assert (row["pro_worst_low"], row["pro_worst_high"]) == ("50.00", "100.00")


def test_intervals_of_one_proportion_match_their_formulas() -> None:
    rng = np.random.default_rng(3)
    z = norm.ppf(0.975)
    for whole in rng.integers(1, 120, 40):
        part = int(rng.integers(0, whole + 1))
        rate = part / whole
        centre = (rate + z**2 / (2 * whole)) / (1 + z**2 / whole)
        half = z / (1 + z**2 / whole) * np.sqrt(rate * (1 - rate) / whole + z**2 / (4 * whole**2))
        assert wilson(part, int(whole), 0.95) == pytest.approx((centre - half, centre + half))
        low = beta.ppf(0.025, part, whole - part + 1) if part else 0.0
        high = beta.ppf(0.975, part + 1, whole - part) if part < whole else 1.0
        assert clopper_pearson(part, int(whole), 0.95) == pytest.approx((low, high))


def test_rates_round_without_floats() -> None:
    assert str(percent(Fraction(1, 32))) == "3.12"  # 3.125 is a tie: to even
    assert str(published_delta(Fraction(51, 71), Fraction(3, 71))) == "67.60"


def test_a_gap_whose_resamples_agree_rests_on_the_cells_of_its_estimate() -> None:
    # 0 of 8 valid against 0 of 3 valid, with one scenario valid on both sides
    rows = cells({"pro": "nnnnnnnnxx", "anti": "xxxxxxxnnn"})
    (row,) = rows_of(rows)
    assert (row["delta"], row["delta_pairs"], row["delta_interval"]) == (
        "0.00",
        "1",
        "wilson_difference",
    )
    # Wilson's upper bounds of 0/8 and 0/3: z^2 / (n + z^2)
    z = norm.ppf(0.975) ** 2
    assert (row["delta_low"], row["delta_high"]) == (
        f"{-100 * z / (3 + z):.2f}",
        f"{100 * z / (8 + z):.2f}",
    )
    # the one pair alone would say nothing: this is what the first edition printed
    assert (row["delta_newcombe_low"], row["delta_newcombe_high"]) == ("-79.35", "79.35")


def test_the_difference_of_independent_rates_is_newcombes_published_example() -> None:
    # Newcombe 1998, Statistics in Medicine 17, 873-890, table II, method 10: 56/70 - 48/80
    found = wilson_difference((56, 70), (48, 80), 0.95)
    assert found == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert wilson_difference((0, 0), (1, 2), 0.95) is None


def test_outcomes_and_categories_add_up() -> None:
    rows = cells({"pro": "ccnrxf", "anti": "nnnncr"}, categories=3)
    pro, anti = outcome_rows(long_tables(rows, QUICK), QUICK)
    assert [pro[k] for k in ("n", "convergence", "judge_failed")] == ["6", "2", "1"]
    assert anti["no_convergence_share"] == "66.67"
    table = estimate(QUICK, rows, [], []).categories
    of_event = table[(table.outcome == "convergence") & (table.intervention == "pro")]
    assert list(of_event.category) == ["c0", "c1", "c2"]
    assert list(of_event.n.astype(int)) == [2, 2, 2]
    # c0 holds scenarios 0 and 3 of each: c and r; c1: c and x; c2: n and f
    assert list(of_event["count"]) == ["1", "1", "0"]
    assert list(of_event.rate) == ["50.00", "100.00", "0.00"]


def words_of(folder: Path, spec: str) -> tuple[list[str], list[str]]:
    """The words of estimate and of table in a folder that holds cells.csv."""
    shared = ["--spec", spec, "--output-dir", str(folder)]
    table = ["--rates", str(folder / "rates.csv"), "--contrasts", str(folder / "contrasts.csv")]
    table += ["--steering", str(folder / "steering.csv")]
    return (
        ["estimate", "--cells", str(folder / "cells.csv"), *shared],
        ["table", *table, *shared],
    )


def test_the_verbs_write_every_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = cells({"pro": "ccnr", "none": "cnnn", "anti": "nnnn"}, ("a", "1B", "chat"))
    rows += cells({"pro": "cccr", "none": "cnnn", "anti": "cnnn"}, ("b", "1B", "raw"))
    rows += cells({"pro": "cccr", "none": "cnnn", "anti": "cnnn"}, ("a", "1B", "chat"), "llm")
    write_cells(tmp_path / "cells.csv", rows)
    noted = study(notes={"llm": "shows the path & measures nothing"}, remark="One remark.")
    estimated, table_words = words_of(tmp_path, noted.model_dump_json())
    assert cli.run(estimated) == 0
    assert cli.run(table_words) == 0
    printed = capsys.readouterr().out
    assert "| 1B chat" in printed and "| 75.00 (3/4)" in printed and "table1.md" in printed
    for name in ("table1.md", "table1.tex", "table1.html"):
        text = (tmp_path / name).read_text()
        for column in ("authorised: none - anti", "unauthorised: pro - none", "over all outputs"):
            assert column in text
        assert text.count("One remark.") == 1
    made = sorted(p.name for p in tmp_path.iterdir())
    assert made == [
        *("categories.csv", "cells.csv", "contrasts.csv", "outcomes.csv", "rates.csv"),
        *("steering.csv", "table1.csv", "table1.html", "table1.md", "table1.tex"),
        *("table1_by_judge.csv", "table1_by_judge.md"),
    ]
    with (tmp_path / "table1.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["model"] for row in table] == ["a", "b"]
    by_judge = (tmp_path / "table1_by_judge.md").read_text()
    assert "llm*: pro" in by_judge and "not judged" in by_judge
    assert "measures nothing" in by_judge
    assert "\\&" not in (tmp_path / "table1.tex").read_text()  # rules has no note
    first = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert cli.run(estimated) == cli.run(table_words) == 0
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == first


def test_nothing_is_resampled_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = {"draws": 0}
    drawn = bootstrap.scenario_weights

    def counted(*arguments: object, **named: object) -> object:
        calls["draws"] += 1
        return drawn(*arguments, **named)  # type: ignore[arg-type]

    for module in (bootstrap, resampling):
        monkeypatch.setattr(module, "scenario_weights", counted)
    rows = cells({"pro": "ccnr", "none": "cnnn", "anti": "nnnn"})
    rows += cells({"pro": "cccr", "none": "cnnn", "anti": "cnnn"}, judge="llm")
    write_cells(tmp_path / "cells.csv", rows)
    estimated, table_words = words_of(tmp_path, QUICK.model_dump_json())
    assert cli.run(estimated) == 0
    assert calls["draws"] == 1  # both judges, every rate and contrast share the draws
    assert cli.run(table_words) == 0
    assert calls["draws"] == 1


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("no-such-file.yaml", "--spec"),
        ('{"analysis": {"confidence": 2}}', "confidence"),
        ('{"tasks": [{"name": "other", "suite": "made"}]}', "no task behaviour with labels"),
        ('{"scales": []}', "has a scale that is not there: behaviour"),
        (
            '{"scales": [{"name": "behaviour", "outcomes": [{"name": "c", "event": true}, '
            '{"name": "d"}]}]}',
            "convergence is no outcome of the scale behaviour",
        ),
    ],
)
def test_bad_arguments_are_one_line_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spec: str, said: str
) -> None:
    write_cells(tmp_path / "cells.csv", cells({"pro": "cn", "anti": "nn"}))
    words, _ = words_of(tmp_path, spec)
    assert cli.run(words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and said in error


def test_a_table_without_its_long_tables_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, words = words_of(tmp_path, QUICK.model_dump_json())
    assert cli.run(words) == 2
    assert "rates.csv" in capsys.readouterr().err
