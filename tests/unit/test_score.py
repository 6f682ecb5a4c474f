"""The tidy tables hold every cell, in order, and refuse what does not join."""

import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from steerability import cli
from steerability.config.study import Study
from steerability.protocol.label import Label
from steerability.protocol.response import Response
from steerability.protocol.scale import BEHAVIOUR, BENIGN
from steerability.protocol.scenario import Scenario
from steerability.protocol.task import Task
from steerability.score import cells, choices
from steerability.score.cells import COLUMNS, CellRow, Joined, ModelFacts, read_cells, write_cells
from steerability.score.choices import read_choices, rows_of, write_choices
from steerability.suites.model import Suite
from steerability.support.canonical import canonical_json
from steerability.support.errors import UserError
from steerability.support.jsonl import write_records
from support.responses import choice, label, response

FACTS = {"alpha": ModelFacts("1B", "Base"), "beta": ModelFacts("2B", "Chat")}
TABLES = Joined(
    models=FACTS,
    suites={"behaviour": "made", "twin": "made"},
    categories={(task, f"s{at}"): "c" for task in ("behaviour", "twin") for at in range(2)},
    scales={"behaviour": BEHAVIOUR, "twin": BENIGN},
)
SUITE = Suite(
    name="made",
    scenarios=tuple(
        Scenario(id=f"s{at}", category="evading_shutdown", context="", prompt=f"What {at}?")
        for at in range(2)
    ),
)
ARMS = ("pro", "none", "anti")


def grid(model: str) -> list[Response]:
    return [response(f"{model}/{arm}/s{at}") for at in range(2) for arm in ARMS]


def given(rows: Sequence[Response], outcome: str, judge: str = "rules") -> list[Label]:
    return [label(row.id, outcome, judge) for row in rows]


def join(responses: Sequence[Response], labels: Sequence[Label]) -> list[CellRow]:
    return cells.join(responses, labels, TABLES)


def test_rows_follow_responses_then_judges() -> None:
    made = grid("alpha") + grid("beta")
    labels = given(made[::-1], "convergence", "b-judge")
    labels += given(grid("alpha"), "judge_failed", "a-judge")
    rows = join(made, labels)
    assert [(r.cell_id, r.judge) for r in rows] == [
        *((c.id, judge) for c in grid("alpha") for judge in ("b-judge", "a-judge")),
        *((c.id, "b-judge") for c in grid("beta")),
    ]
    assert {r.label for r in rows if r.judge == "a-judge"} == {"judge_failed"}
    facts = {(row.model, row.size, row.stage, row.suite, row.category) for row in rows}
    assert facts == {("alpha", "1B", "Base", "made", "c"), ("beta", "2B", "Chat", "made", "c")}


def test_columns_are_the_contract_then_further() -> None:
    contract = (
        "model,size,stage,intervention,suite,category,scenario,judge,label,finish_reason,"
        "prompt_tokens,completion_tokens,completion_sha256"
    )
    assert ",".join(COLUMNS[:13]) == contract
    assert COLUMNS[13:] == ("task", "sample", "guard", "truncated", "thinking_cut")


def test_a_missing_label_is_an_error() -> None:
    made = grid("alpha")
    with pytest.raises(UserError, match="labelled alpha but not this cell"):
        join(made, given(made[:-1], "convergence"))


def test_a_model_without_any_label_is_an_error() -> None:
    with pytest.raises(UserError, match="no judge labelled the model beta in the task behaviour"):
        join(grid("alpha") + grid("beta"), given(grid("alpha"), "convergence"))


def test_strays_and_doubles_are_errors() -> None:
    made = grid("alpha")
    labels = given(made, "convergence")
    with pytest.raises(UserError, match="no response has this id"):
        join(made, [*labels, label("beta/pro/s0", "convergence")])
    with pytest.raises(UserError, match="labelled twice"):
        join(made, [*labels, labels[0]])
    with pytest.raises(UserError, match="there twice"):
        join([*made, made[0]], labels)


@pytest.mark.parametrize(
    ("cell", "what"),
    [
        (response("gamma/pro/s0"), "no table knows the model gamma"),
        (response("alpha/pro/s9"), "no table knows the scenario s9"),
        (response("alpha/pro/s0", task="other", id="other/alpha/pro/s0"), "the task other"),
    ],
)
def test_what_no_table_knows_is_an_error(cell: Response, what: str) -> None:
    with pytest.raises(UserError, match=what):
        join([cell], given([cell], "convergence"))


def test_a_judge_labels_the_tasks_that_are_its_own() -> None:
    one = response("alpha/pro/s0")
    twin = response("alpha/pro/s0", task="twin", id="twin/alpha/pro/s0", sample=0)
    labels = [label(one.id, "convergence", "rules"), label(twin.id, "helped", "kind")]
    rows = join([one, twin], labels)
    assert [(row.task, row.judge, row.label) for row in rows] == [
        ("behaviour", "rules", "convergence"),
        ("twin", "kind", "helped"),
    ]


@pytest.mark.parametrize("outcome", ["maybe", "helped", "Convergence"])
def test_a_label_off_the_scale_of_its_task_is_an_error(outcome: str) -> None:
    made = grid("alpha")
    labels = [label(made[0].id, outcome), *given(made[1:], "convergence")]
    with pytest.raises(UserError, match=f"{outcome} is no label of the scale behaviour"):
        join(made, labels)
    every = [given([row], name)[0] for row, name in zip(made, BEHAVIOUR.labels, strict=False)]
    assert [row.label for row in join(made[:5], every)] == list(BEHAVIOUR.labels)


def test_samples_and_guards_are_rows_of_their_own(tmp_path: Path) -> None:
    made = [
        response("alpha/pro/s0"),
        response("alpha/pro/s0", sample=1, id="alpha/pro/s0#1"),
        response("alpha/pro/s0", guard="strict", id="alpha/pro/s0@strict"),
    ]
    rows = join(made, given(made, "convergence"))
    assert [(row.sample, row.guard) for row in rows] == [(0, ""), (1, ""), (0, "strict")]
    path = tmp_path / "cells.csv"
    write_cells(path, rows)
    lines = path.read_text().splitlines()
    assert [line.split(",")[13:16] for line in lines[1:]] == [
        ["behaviour", "0", ""],
        ["behaviour", "1", ""],
        ["behaviour", "0", "strict"],
    ]
    assert read_cells(path) == rows


def test_unknown_values_are_empty_and_come_back(tmp_path: Path) -> None:
    counted = {"finish_reason": "length", "prompt_tokens": 7, "completion_tokens": 96}
    made = [response("alpha/pro/s0", **counted), response("alpha/pro/s1", truncated=True)]
    rows = join(made, given(made, "nonsensical"))
    path = tmp_path / "cells.csv"
    write_cells(path, rows)
    lines = path.read_text().splitlines()
    assert lines[1].split(",")[9:12] == ["length", "7", "96"]
    assert lines[2].split(",")[9:12] == ["", "", ""]
    assert lines[1].endswith(",false,false") and lines[2].endswith(",true,false")
    assert read_cells(path) == rows


def test_a_table_of_the_first_edition_is_of_the_task_behaviour(tmp_path: Path) -> None:
    made = grid("alpha")
    rows = join(made, given(made, "convergence"))
    path = tmp_path / "cells.csv"
    write_cells(path, rows)
    lines = [line.split(",") for line in path.read_text().splitlines()]
    path.write_text("".join(",".join(fields[:13] + fields[16:]) + "\n" for fields in lines))
    assert path.read_text().splitlines()[0].endswith(",completion_sha256,truncated,thinking_cut")
    assert read_cells(path) == rows


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (",convergence,", ",,", "label"),
        ("model,size", "name,size", "lacks the column model"),
        (",rules,", ",rules,extra,", "fields where the header"),
        (",0,,false", ",-1,,false", "sample"),
    ],
)
def test_a_bad_table_names_its_fault(tmp_path: Path, old: str, new: str, what: str) -> None:
    path = tmp_path / "cells.csv"
    made = grid("alpha")
    write_cells(path, join(made, given(made, "convergence")))
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(UserError, match=what):
        read_cells(path)


def test_the_same_cell_and_judge_twice_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "cells.csv"
    made = grid("alpha")[:1]
    write_cells(path, join(made, given(made, "convergence")) * 2)
    with pytest.raises(UserError, match="the cell and judge of row 2 again"):
        read_cells(path)


def options(folder: Path, study: Study, suite: Suite = SUITE) -> list[str]:
    write_records(folder / "suite.json", [suite])
    spec = canonical_json(study.model_dump(mode="json")).decode()
    models = '{"alpha":["1B","Base"],"beta":["2B","Chat"]}'
    words = ["score", "--spec", spec, "--models", models]
    return [*words, "--suite", f"suite={folder / 'suite.json'}"]


def test_the_verb_takes_several_files_each_after_its_option(tmp_path: Path) -> None:
    words = options(tmp_path, Study())
    for model in ("alpha", "beta"):
        files = {"--responses": grid(model), "--labels": given(grid(model), "safety_refusal")}
        for option, rows in files.items():
            path = tmp_path / f"{option[2:]}-{model}.jsonl"
            write_records(path, rows)
            words += [option, str(path)]
    output, study = tmp_path / "cells.csv", tmp_path / "study.json"
    assert cli.run([*words, "--output", str(output), "--study", str(study)]) == 0
    rows = read_cells(output)
    assert [row.model for row in rows] == ["alpha"] * 6 + ["beta"] * 6
    assert {row.category for row in rows} == {"evading_shutdown"}, "the suite's, not the cell's"
    assert Study.model_validate_json(study.read_text()) == Study()


def test_the_verb_reports_bad_input_with_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "none.jsonl"
    words = [*options(tmp_path, Study()), "--output", "x.csv"]
    assert cli.run([*words, "--responses", str(path), "--labels", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "none.jsonl" in said


@pytest.mark.parametrize(
    ("at", "value", "what"),
    [
        (2, "{", "--spec"),
        (2, '{"tasks":[],"other":1}', "other"),
        (4, '{"alpha":["1B"]}', "--models"),
        (6, "no-equals-sign", "NAME=FILE"),
    ],
)
def test_what_the_verb_is_told_is_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], at: int, value: str, what: str
) -> None:
    words = options(tmp_path, Study())
    words[at] = value
    assert cli.run([*words, "--output", str(tmp_path / "x.csv")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and what in said


def test_log_odds_by_hand(tmp_path: Path) -> None:
    """Of the event's answer minus the other's: over all tokens, and of the means per token."""
    taken = choice("m/pro/s0", (-1.0, -0.5), (-0.25, -0.25, -0.5, -1.0))
    rows = rows_of([taken], {("choose", "s0"): "c"})
    assert (rows[0].log_odds, rows[0].log_odds_per_token) == (0.5, -0.25)
    path = tmp_path / "choices.csv"
    write_choices(path, rows)
    assert path.read_text() == (
        "task,model,intervention,scenario,category,log_odds,log_odds_per_token,prompt_tokens,key,"
        "sample,guard\n"
        "choose,m,pro,s0,c,0.500000,-0.250000,,k,0,\n"
    )
    assert read_choices(path) == rows


def test_a_long_answers_log_odds_depend_on_no_order_of_additions() -> None:
    scores = (1e-9, -30.0, *([-0.1] * 1000))
    one = choice("m/pro/s0", scores, (-1.0,))
    other = choice("m/pro/s0", scores[::-1], (-1.0,))
    assert choices.row_of(one, "c") == choices.row_of(other, "c")
    assert choices.row_of(one, "c").log_odds == pytest.approx(math.fsum(scores) + 1.0, abs=1e-12)


def test_choices_that_no_table_knows_or_that_come_twice_are_errors(tmp_path: Path) -> None:
    one = choice("m/pro/s0", (-1.0,), (-2.0,))
    known = {("choose", "s0"): "c"}
    with pytest.raises(UserError, match="there twice"):
        rows_of([one, one], known)
    with pytest.raises(UserError, match="no table knows the scenario s0"):
        rows_of([one], {("behaviour", "s0"): "c"})
    path = tmp_path / "choices.csv"
    write_choices(path, rows_of([one], known) * 2)
    with pytest.raises(UserError, match="the cell choose/m/pro/s0 again"):
        read_choices(path)


@pytest.mark.parametrize("value", ["nan", "inf", "", "x"])
def test_log_odds_that_are_no_number_are_refused(tmp_path: Path, value: str) -> None:
    path = tmp_path / "choices.csv"
    write_choices(path, rows_of([choice("m/pro/s0", (-1.0,), (-2.0,))], {("choose", "s0"): "c"}))
    path.write_text(path.read_text().replace(",1.000000,", f",{value},", 1))
    with pytest.raises(UserError, match="log_odds"):
        read_choices(path)


def test_the_verb_writes_both_tables_of_a_run_with_choices(tmp_path: Path) -> None:
    forced = Task(name="choose", suite="suite", measure="choose")
    twins = Task(name="twin", suite="suite", side="twins", scale="benign", judges=("kind",))
    study = Study(tasks=(forced, twins), scales=(BENIGN,), interventions=ARMS)
    cell = response("alpha/pro/s0", task="twin", id="twin/alpha/pro/s0")
    files = {
        "--responses": [cell],
        "--labels": [label(cell.id, "over_suppressed", "kind")],
        "--choices": [choice("alpha/pro/s1", (-1.0,), (-3.0,))],
    }
    words = options(tmp_path, study)
    for option, rows in files.items():
        path = tmp_path / f"{option[2:]}.jsonl"
        write_records(path, rows)
        words += [option, str(path)]
    out, chosen = tmp_path / "cells.csv", tmp_path / "choices.csv"
    assert cli.run([*words, "--output", str(out), "--choices-output", str(chosen)]) == 0
    [row] = read_cells(out)
    assert (row.task, row.label, row.judge) == ("twin", "over_suppressed", "kind")
    [picked] = read_choices(chosen)
    assert (picked.task, picked.log_odds, picked.category) == ("choose", 2.0, "evading_shutdown")


def test_a_run_of_choices_alone_has_a_table_of_labels_without_rows(tmp_path: Path) -> None:
    study = Study(tasks=(Task(name="choose", suite="suite", measure="choose"),), scales=())
    path = tmp_path / "choices.jsonl"
    write_records(path, [choice("alpha/pro/s1", (-1.0,), (-3.0,))])
    out, chosen = tmp_path / "cells.csv", tmp_path / "choices.csv"
    words = [*options(tmp_path, study), "--choices", str(path), "--output", str(out)]
    assert cli.run([*words, "--choices-output", str(chosen)]) == 0
    assert out.read_text() == ",".join(COLUMNS) + "\n"
    assert [row.log_odds for row in read_choices(chosen)] == [2.0]
