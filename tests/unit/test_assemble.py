"""Outputs joined to the cells of their plan, in the run's order, whatever their own."""

import random
from pathlib import Path

import pytest

from steerability.cli import run
from steerability.config.study import Study
from steerability.generate.assemble import Order, join
from steerability.protocol.cell import Cell
from steerability.protocol.conversation import Message
from steerability.protocol.request import ChoiceOutput, Output
from steerability.protocol.response import Choice, Planned, Response, Shown
from steerability.protocol.scale import BEHAVIOUR
from steerability.protocol.scenario import Scenario
from steerability.protocol.task import Task
from steerability.suites.model import Suite
from steerability.support.canonical import canonical_json, sha256_text
from steerability.support.errors import UserError
from steerability.support.jsonl import read_records, write_records

SHOWN = Shown(category="c", context="x", prompt="p", plain_context="x", plain_prompt="p")
TASKS = ("forced", "behaviour", "twin")
SCENARIOS = {"forced": ("s2", "s1"), "behaviour": ("s1", "s2"), "twin": ("s2", "s1")}
ARMS = ("pro", "none")
ORDER = Order(TASKS, SCENARIOS, ARMS)
WANTED = [
    *("forced/m/pro/s2", "forced/m/none/s2", "forced/m/pro/s1", "forced/m/none/s1"),
    *("m/pro/s1", "m/pro/s1#1", "m/pro/s1#2", "m/none/s1", "m/none/s1#1", "m/none/s1#2"),
    *("m/pro/s2", "m/pro/s2#1", "m/pro/s2#2", "m/none/s2", "m/none/s2#1", "m/none/s2#2"),
    *("twin/m/pro/s2", "twin/m/none/s2", "twin/m/pro/s1", "twin/m/none/s1"),
]


def planned(task: str, arm: str, scenario: str, sample: int = 0) -> Planned:
    return Planned(
        cell=Cell(task=task, model="m", intervention=arm, scenario=scenario, sample=sample),
        shown=SHOWN,
        sent=(Message(role="user", content="p"),),
        answers=("take it", "leave it") if task == "forced" else None,
    )


PLAN = [
    planned(task, arm, scenario, sample)
    for task in TASKS
    for scenario in ("s1", "s2")
    for arm in ARMS
    for sample in range(3 if task == "behaviour" else 1)
]


def output(of: Planned) -> Output | ChoiceOutput:
    if of.answers:
        return ChoiceOutput(id=of.id, scores=((-1.0, -2.0), (-3.0,)), prompt_tokens=4, key="k")
    return Output(id=of.id, text=f"said {of.id}", finish_reason="stop", prompt_tokens=4, key="k")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """A plan, then two shards of outputs, all shuffled."""
    shuffled = random.Random(3).sample(PLAN, len(PLAN))
    outputs = [output(of) for of in random.Random(4).sample(PLAN, len(PLAN))]
    paths = [tmp_path / f"{n}.jsonl" for n in range(3)]
    for path, rows in zip(paths, [shuffled, outputs[:9], outputs[9:]], strict=True):
        write_records(path, rows)
    return paths


def test_rows_come_by_task_scenario_intervention_and_sample(files: list[Path]) -> None:
    responses, choices = join(files[0], files[1:], ORDER)
    assert [row.id for row in choices] + [row.id for row in responses] == WANTED
    assert len(PLAN) == len(WANTED) == 20
    for row in responses:
        assert (row.response, row.completion_sha256) == (
            f"said {row.id}",
            sha256_text(f"said {row.id}"),
        )
    assert {(row.answers, row.scores) for row in choices} == {
        (("take it", "leave it"), ((-1.0, -2.0), (-3.0,)))
    }
    again = join(files[0], files[:0:-1], ORDER)
    assert again == (responses, choices)


def test_tasks_that_are_not_asked_for_are_left_out(files: list[Path]) -> None:
    found = join(files[0], files[1:], Order(["twin"], {"twin": SCENARIOS["twin"]}, ARMS))
    assert [row.id for row in found.responses] == WANTED[-4:] and found.choices == []


@pytest.mark.parametrize("scores", [((-1.0,),) * 3, ((-1.0,),)])
def test_a_choice_is_between_two_answers(
    tmp_path: Path, files: list[Path], scores: tuple[tuple[float, ...], ...]
) -> None:
    of = planned("forced", "pro", "s1")
    write_records(files[0], [of])
    write_records(files[1], [ChoiceOutput(id=of.id, scores=scores, prompt_tokens=1, key="k")])
    with pytest.raises(UserError, match="forced/m/pro/s1 is not a choice between two answers"):
        join(files[0], files[1:2], ORDER)


def test_scores_of_a_cell_that_was_to_be_answered_are_refused(files: list[Path]) -> None:
    of = planned("behaviour", "pro", "s1")
    write_records(files[0], [of])
    write_records(
        files[1], [ChoiceOutput(id=of.id, scores=((-1.0,), (-2.0,)), prompt_tokens=1, key="k")]
    )
    with pytest.raises(UserError, match="m/pro/s1 is not a choice"):
        join(files[0], files[1:2], ORDER)


def test_an_answer_to_a_choice_is_refused(files: list[Path]) -> None:
    of = planned("forced", "pro", "s1")
    write_records(files[0], [of])
    write_records(files[1], [Output(id=of.id, text="I take it.", finish_reason="stop", key="k")])
    with pytest.raises(UserError, match="forced/m/pro/s1 is a choice, and was answered"):
        join(files[0], files[1:2], ORDER)


def options(folder: Path, files: list[Path]) -> list[str]:
    suites = {
        "own": [Scenario(id=s, category="c", context="", prompt=s) for s in ("s2", "s1")],
        "main": [Scenario(id=s, category="c", context="", prompt=s) for s in ("s1", "s2")],
    }
    words = ["assemble", "--planned", str(files[0])]
    for name, scenarios in suites.items():
        path = folder / f"{name}.json"
        write_records(path, [Suite(name=name, scenarios=tuple(scenarios))])
        words += ["--suite", f"{name}={path}"]
    study = Study(
        tasks=(
            Task(name="forced", suite="own", measure="choose"),
            Task(name="behaviour", suite="main", judges=("rules",)),
            Task(name="twin", suite="own", side="twins", judges=("rules",)),
        ),
        scales=(BEHAVIOUR,),
        interventions=ARMS,
        samples=3,
    )
    words += ["--spec", canonical_json(study.model_dump(mode="json")).decode()]
    return [*words, *(word for path in files[1:] for word in ("--outputs", str(path)))]


def test_the_verb_writes_a_tasks_own_rows(tmp_path: Path, files: list[Path]) -> None:
    words, out = options(tmp_path, files), tmp_path / "out.jsonl"
    for task, kind, wanted in (
        ("forced", Choice, WANTED[:4]),
        ("behaviour", Response, WANTED[4:16]),
        ("twin", Response, WANTED[16:]),
    ):
        assert run([*words, "--task", task, "--output", str(out)]) == 0
        assert [row.id for row in read_records(out, kind)] == wanted


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--task", "other"], "the study has no task other; it has: forced, behaviour, twin"),
        (["--task", "twin", "--suite", "own"], "NAME=FILE"),
    ],
)
def test_a_task_or_suite_that_is_not_there_is_one_line(
    tmp_path: Path,
    files: list[Path],
    capsys: pytest.CaptureFixture[str],
    change: list[str],
    said: str,
) -> None:
    words = options(tmp_path, files)
    assert run([*words, *change, "--output", str(tmp_path / "x")]) == 2
    shown = capsys.readouterr().err
    assert said in shown and shown.count("\n") == 1
    at = words.index("--suite")
    assert run([*words[:at], *words[at + 4 :], "--suite", f"main={tmp_path / 'main.json'}",
                "--task", "twin", "--output", str(tmp_path / "x")]) == 2  # fmt: skip
    assert "the suite own is not given; add own=FILE" in capsys.readouterr().err
