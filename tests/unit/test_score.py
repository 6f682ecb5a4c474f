"""The tidy table holds every cell of every judge, in order, and refuses what does not join."""

from pathlib import Path

import pytest

from steerability import cli
from steerability.protocol.records import Completion
from steerability.score.cells import COLUMNS, join, read_cells, write_cells
from steerability.support.errors import UserError
from steerability.support.jsonl import write_records
from unit.synthetic import cells, completion, label

ALPHA, BETA = ("alpha", "1B", "Base"), ("beta", "2B", "Chat")


def grid(model: tuple[str, str, str]) -> list[Completion]:
    return [completion(model, name, at) for at in range(2) for name in ("pro", "none", "anti")]


def test_rows_follow_completions_then_judges() -> None:
    made = grid(ALPHA) + grid(BETA)
    labels = [label(c, "convergence", "b-judge") for c in reversed(made)]
    labels += [label(c, "judge_failed", "a-judge") for c in grid(ALPHA)]
    rows = join(made, labels)
    assert [(r.cell_id, r.judge) for r in rows] == [
        *((c.id, judge) for c in grid(ALPHA) for judge in ("b-judge", "a-judge")),
        *((c.id, "b-judge") for c in grid(BETA)),
    ]
    assert {r.label for r in rows if r.judge == "a-judge"} == {"judge_failed"}


def test_columns_are_the_contract_then_further() -> None:
    contract = (
        "model,size,stage,intervention,suite,category,scenario,judge,label,finish_reason,"
        "prompt_tokens,completion_tokens,completion_sha256"
    )
    assert ",".join(COLUMNS[:13]) == contract
    assert COLUMNS[13:] == ("truncated", "thinking_cut")


def test_a_missing_label_is_an_error() -> None:
    made = grid(ALPHA)
    with pytest.raises(UserError, match="labelled alpha but not this cell"):
        join(made, [label(c, "convergence") for c in made[:-1]])


def test_a_model_without_any_label_is_an_error() -> None:
    with pytest.raises(UserError, match="no judge labelled the model beta"):
        join(grid(ALPHA) + grid(BETA), [label(c, "convergence") for c in grid(ALPHA)])


def test_strays_and_doubles_are_errors() -> None:
    made = grid(ALPHA)
    labels = [label(c, "convergence") for c in made]
    with pytest.raises(UserError, match="no completion has this id"):
        join(made, [*labels, label(grid(BETA)[0], "convergence")])
    with pytest.raises(UserError, match="labelled twice"):
        join(made, [*labels, labels[0]])
    with pytest.raises(UserError, match="there twice"):
        join([*made, made[0]], labels)


def test_unknown_values_are_empty_and_come_back(tmp_path: Path) -> None:
    known = completion(
        ALPHA, "pro", 0, finish_reason="length", prompt_tokens=7, completion_tokens=96
    )
    unknown = completion(ALPHA, "pro", 1)
    rows = join([known, unknown], [label(c, "nonsensical") for c in (known, unknown)])
    path = tmp_path / "cells.csv"
    write_cells(path, rows)
    lines = path.read_text().splitlines()
    assert lines[1].split(",")[9:12] == ["length", "7", "96"]
    assert lines[2].split(",")[9:12] == ["", "", ""]
    assert lines[2].endswith(",false,false")
    assert read_cells(path) == rows


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (",convergence,", ",maybe,", "label"),
        ("model,size", "name,size", "lacks the column model"),
        (",rules,", ",rules,extra,", "fields where the header"),
    ],
)
def test_a_bad_table_names_its_fault(tmp_path: Path, old: str, new: str, what: str) -> None:
    path = tmp_path / "cells.csv"
    write_cells(path, cells({"pro": "cn"}))
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(UserError, match=what):
        read_cells(path)


def test_the_verb_takes_several_files_after_one_option(tmp_path: Path) -> None:
    words = ["score", "--completions"]
    for model in (ALPHA, BETA):
        path = tmp_path / f"{model[0]}.jsonl"
        write_records(path, grid(model))
        words.append(str(path))
    words.append("--labels")
    for model in (ALPHA, BETA):
        path = tmp_path / f"labels-{model[0]}.jsonl"
        write_records(path, [label(c, "safety_refusal") for c in grid(model)])
        words.append(str(path))
    output = tmp_path / "cells.csv"
    assert cli.run([*words, "--output", str(output)]) == 0
    assert [row.model for row in read_cells(output)] == ["alpha"] * 6 + ["beta"] * 6


def test_the_verb_reports_bad_input_with_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "none.jsonl"
    arguments = ["--completions", str(path), "--labels", str(path), "--output", "x.csv"]
    assert cli.run(["score", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1
