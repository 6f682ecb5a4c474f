"""Table 1 beside the published one."""

import csv
from decimal import Decimal

import pytest

from mirror import REPOSITORY
from steerability.cli import run
from steerability.report.tables.layout import layout_of
from unit.synthetic import STUDY

REFERENCE = REPOSITORY / "workflow" / "reference" / "table1_published.csv"
CONDITIONS = ("pro", "none", "anti")
COLUMNS = layout_of(STUDY, STUDY.tasks[0], CONDITIONS).columns


def published_rows():
    with REFERENCE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def as_table(row, **changes):
    """Return a row of table1.csv that agrees with a published one, but for the changes."""
    return {**dict.fromkeys(COLUMNS, ""), "judge": "published", **row, **changes}


@pytest.fixture
def compare(tmp_path, capsys):
    def call(*rows):
        table = tmp_path / "table1.csv"
        with table.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        words = ["compare-published", "--table", str(table), "--reference", str(REFERENCE)]
        status = run([*words, "--output", str(tmp_path / "comparison.csv")])
        out = tmp_path / "comparison.csv"
        found = list(csv.DictReader(out.open(encoding="utf-8"))) if out.exists() else []
        return status, capsys.readouterr().err, found

    return call


def test_the_published_rates_follow_from_the_published_counts():
    """One rate of the six models' twelve is what its counts give; the gap, of rounded rates."""
    for row in published_rows():
        rates = {}
        for condition in ("pro", "anti"):
            valid = int(row[f"{condition}_valid"])
            for rate, count in (("convergence", "converged"), ("refusal", "refused")):
                expected = round(Decimal(100 * int(row[f"{condition}_{count}"])) / valid, 2)
                assert Decimal(row[f"{condition}_{rate}"]) == expected
                rates[condition, rate] = expected
        gap = rates["pro", "convergence"] - rates["anti", "convergence"]
        assert Decimal(row["delta"]) == gap
        assert {row[f"{condition}_n"] for condition in CONDITIONS} == {"71"}


def test_a_table_that_agrees(compare):
    status, said, found = compare(*map(as_table, published_rows()))
    assert status == 0
    assert said == "compare-published: 102 numbers of 6 models as published\n"
    assert list(found[0]) == ["model", "quantity", "published", "here", "difference"]
    assert {row["difference"].strip("0.") for row in found} == {""}


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"delta": "42.39"}, 0),
        ({"delta": "42.37"}, 0),
        ({"delta": "42.40"}, 1),
        ({"pro_convergence": "65.92"}, 1),
        ({"anti_refusal": "0.01"}, 1),
        ({"none_converged": "9"}, 1),
        ({"pro_valid": "45"}, 1),
        ({"pro_convergence": ""}, 1),
    ],
)
def test_only_rounding_may_differ(compare, changes, status):
    found_status, said, _ = compare(as_table(published_rows()[0], **changes))
    assert found_status == status
    assert len(said.splitlines()) == 1
    if status:
        assert f"qwen3-4b-base {next(iter(changes))} " in said


def test_every_difference_is_in_the_line(compare):
    rows = [as_table(row, delta="1.00", anti_n="70") for row in published_rows()]
    status, said, _ = compare(*rows)
    assert status == 1
    assert len(said.splitlines()) == 1
    for row in rows:
        assert f"{row['model']} delta 1.00 (published" in said
        assert f"{row['model']} anti_n 70 (published 71)" in said


def test_what_a_run_lacks_is_named_and_not_a_difference(compare):
    row = as_table(published_rows()[0])
    row |= {name: "" for name in COLUMNS if name.startswith("anti_")}
    row |= {"anti_n": "0", "delta": ""}
    status, said, found = compare(row)
    assert status == 0
    assert "not in this run: qwen3-4b-base/anti" in said
    assert {one["here"] for one in found if one["quantity"].startswith("anti")} == {""}


def test_a_run_without_an_intervention_has_no_columns_of_it(tmp_path, capsys):
    row = as_table(published_rows()[0])
    row = {k: v for k, v in row.items() if not k.startswith(("anti_", "delta", "authorised"))}
    with (tmp_path / "table1.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerow(row)
    words = ["compare-published", "--table", str(tmp_path / "table1.csv")]
    words += ["--reference", str(REFERENCE), "--output", str(tmp_path / "comparison.csv")]
    assert run(words) == 0
    assert "not in this run: qwen3-4b-base/anti" in capsys.readouterr().err
    row.pop("pro_valid")
    with (tmp_path / "table1.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerow(row)
    assert run(words) == 2
    assert "lacks the column pro_valid" in capsys.readouterr().err


def test_a_table_of_other_models_is_refused(compare):
    status, said, found = compare(as_table(published_rows()[0], model="smollm2"))
    assert status == 2
    assert "has no model of qwen3-4b-base" in said
    assert found == []


def test_a_field_that_is_no_number_is_named(compare):
    status, said, _ = compare(as_table(published_rows()[0], pro_valid="many"))
    assert status == 2
    assert "pro_valid is no number: many" in said


def test_a_table_without_a_count_of_outputs_is_refused(tmp_path):
    published = {"model": "m", "size": "4B", "stage": "Base", "pro_convergence": "60.00"}
    for name, row in (("published", published), ("table1", published)):
        with (tmp_path / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            writer.writeheader()
            writer.writerow(row)
    words = ["compare-published", "--table", str(tmp_path / "table1.csv")]
    words += ["--reference", str(tmp_path / "published.csv")]
    assert run([*words, "--output", str(tmp_path / "comparison.csv")]) == 2
