"""The judge's verb and its use of the store, with small judges made here."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from steerability.cli import run
from steerability.judges.base import Verdict, label_key
from steerability.judges.run import read_cells, run_judge
from steerability.protocol.response import JudgeInput
from steerability.protocol.scale import BEHAVIOUR, BENIGN
from steerability.support.canonical import digest
from steerability.support.errors import UserError
from steerability.support.store import Store


class CountingJudge:
    name = "counting"

    def __init__(self, *, parameter: int = 1) -> None:
        self.parameter = parameter
        self.asked: list[str] = []

    @property
    def definition(self) -> Mapping[str, Any]:
        return {"judge": "counting", "parameter": self.parameter}

    def label(self, inputs: Sequence[JudgeInput]) -> Iterator[Verdict]:
        for item in reversed(inputs):
            self.asked.append(item.id)
            yield Verdict(id=item.id, label="convergence", reason="r")


def cell(identity: str = "m/pro/s", **fields: str) -> JudgeInput:
    values = {"category": "c", "context": "x", "prompt": "p", "response": f"answer {identity}"}
    return JudgeInput(id=identity, **(values | fields))


def test_labels_come_in_input_order_and_are_found_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    cells = [cell("a"), cell("b"), cell("c")]
    first = run_judge(CountingJudge(), cells, store=store)
    assert [label.id for label in first] == ["a", "b", "c"]
    assert "3 cells wanted, 0 found in the store, 3 made" in capsys.readouterr().err
    again = CountingJudge()
    assert run_judge(again, [*cells, cell("d")], store=store)[:3] == first
    assert again.asked == ["d"]
    assert "4 cells wanted, 3 found in the store, 1 made" in capsys.readouterr().err


def test_equal_completions_are_judged_once(tmp_path: Path) -> None:
    judge = CountingJudge()
    labels = run_judge(judge, [cell("a", response="r"), cell("b", response="r")])
    assert judge.asked == ["a"]
    assert [label.id for label in labels] == ["a", "b"]
    assert labels[0].key == labels[1].key


def test_a_filtered_reply_is_judged_by_none_and_shares_no_label_with_an_empty_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, store = tmp_path / "cells.jsonl", Store(tmp_path / "store")
    bare = {"plain_context": "x", "plain_prompt": "s"}
    lines = [
        cell(name, response="").model_dump() | {"finish_reason": finish} | bare
        for name, finish in (
            *(("empty", "stop"), ("filtered", "content_filter"), ("odd", ["x"])),
            ("refused", "refused"),
        )
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for blind in (False, True):
        judge = CountingJudge()
        labels = run_judge(judge, read_cells(path, blind=blind), store=store)
        names = [label.label for label in labels]
        assert names == ["convergence", "judge_failed", "convergence", "judge_failed"]
        assert "endpoint's filter" in labels[1].reason and judge.asked == ["empty"]
        assert "refused the request" in labels[3].reason
        assert "2 judge_failed" in capsys.readouterr().err
        assert labels[0].key == labels[2].key
        assert len({label.key for label in labels}) == 3
    assert run_judge(CountingJudge(), read_cells(path, blind=True), store=store) == labels


@pytest.mark.parametrize(
    "fault",
    [
        {"label": "evil"},
        {"label": 7},
        {"reason": None},
        {"probabilities": {"convergence": "x"}},
        {"probabilities": {"convergence": 0.5}},
    ],
)
def test_a_stored_label_that_does_not_fit_is_set_aside_and_made_again(
    tmp_path: Path, fault: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    labels = run_judge(CountingJudge(), [cell("a")], store=store)
    key = label_key(cell("a"), CountingJudge().definition)
    store.put(key, store.get(key) | fault)
    judge = CountingJudge()
    assert run_judge(judge, [cell("a")], store=store) == labels and judge.asked == ["a"]
    assert "moved to" in capsys.readouterr().err
    store.put(key, "no object at all")
    assert run_judge(judge, [cell("a")], store=store) == labels


@pytest.mark.parametrize("field", ["category", "context", "prompt", "response"])
def test_each_text_changes_the_key(field: str) -> None:
    definition = CountingJudge().definition
    assert digest(label_key(cell(), definition)) != digest(
        label_key(cell(**{field: "other"}), definition)
    )


def test_the_definition_changes_the_key_and_the_id_does_not() -> None:
    same = cell(response="r")
    one, two = CountingJudge().definition, CountingJudge(parameter=2).definition
    assert digest(label_key(same, one)) != digest(label_key(same, two))
    assert label_key(same, one) == label_key(cell("other", response="r"), one)


def test_duplicate_ids_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "cells.jsonl"
    path.write_text((cell("a").model_dump_json() + "\n") * 2)
    with pytest.raises(UserError, match="the id a comes twice"):
        read_cells(path)


def test_the_verb_labels_by_rules_without_options(tmp_path: Path) -> None:
    cells, output = tmp_path / "cells.jsonl", tmp_path / "labels.jsonl"
    line = cell("x", response="I'm sorry, but I cannot help with that.").model_dump()
    cells.write_text(json.dumps(line | {"model": "m", "extra": [1]}) + "\n")
    words = ["judge", "--judge", "rules", "--cells", str(cells), "--output", str(output)]
    assert run([*words, "--log", str(tmp_path / "log")]) == 0
    label = json.loads(output.read_text())
    assert label["id"] == "x" and label["label"] == "safety_refusal"
    assert set(label) == {"id", "label", "reason", "probabilities", "judge", "key"}
    assert "1 cells wanted" in (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b'{"id": "x"}\n', "category: Field required"),
        (b"not json\n", "Invalid JSON"),
        (b'{"id": "\xff"}\n', "not UTF-8"),
    ],
)
def test_bad_cells_are_one_line_and_status_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, fault: str
) -> None:
    cells = tmp_path / "cells.jsonl"
    cells.write_bytes(content)
    output = tmp_path / "out.jsonl"
    words = ["judge", "--judge", "rules", "--cells", str(cells), "--output", str(output)]
    assert run([*words, "--store", str(tmp_path / "store")]) == 2
    error = capsys.readouterr().err
    assert fault in error and "line 1" in error and error.count("\n") == 1
    assert not output.exists() and not (tmp_path / "store").exists()


@pytest.mark.parametrize(("name", "mend"), [("published", "transcribe"), ("other", "known: rules")])
def test_other_judges_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, mend: str
) -> None:
    cells = tmp_path / "cells.jsonl"
    cells.write_text(cell().model_dump_json() + "\n")
    words = ["judge", "--judge", name, "--cells", str(cells), "--output", str(tmp_path / "o")]
    assert run(words) == 2
    assert mend in capsys.readouterr().err


def test_probabilities_must_sum_to_one() -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        Verdict(
            id="a",
            label="convergence",
            reason="",
            probabilities=dict.fromkeys(BEHAVIOUR.names, 0.3),
        )


class Benign(CountingJudge):
    """A judge that gives what it is told, on whichever scale."""

    def __init__(self, label: str, **chances: float) -> None:
        super().__init__()
        self.given, self.chances = label, chances or None

    def label(self, inputs: Sequence[JudgeInput]) -> Iterator[Verdict]:
        for item in inputs:
            yield Verdict(id=item.id, label=self.given, reason="r", probabilities=self.chances)


@pytest.mark.parametrize("label", BENIGN.labels)
def test_a_judge_gives_labels_of_the_scale_it_is_given(tmp_path: Path, label: str) -> None:
    store = Store(tmp_path)
    made, found = (
        run_judge(Benign(label), [cell()], scale=BENIGN, store=store, name="kind")[0]
        for _ in range(2)
    )
    assert made == found and (made.label, made.judge) == (label, "kind")


@pytest.mark.parametrize(
    ("judge", "stray"),
    [
        (Benign("safety_refusal"), "safety_refusal"),
        (Benign("Helped"), "Helped"),
        (Benign("helped", helped=0.5, convergence=0.5), "convergence"),
    ],
)
def test_a_label_off_the_scale_is_a_fault_and_is_not_stored(
    tmp_path: Path, judge: Benign, stray: str
) -> None:
    with pytest.raises(ValueError, match=f"{stray} is no label of the scale benign"):
        run_judge(judge, [cell()], scale=BENIGN, store=Store(tmp_path / "store"))
    assert not list((tmp_path / "store").rglob("*.json"))


def test_probabilities_stand_in_the_order_of_the_scale(tmp_path: Path) -> None:
    judge = Benign("helped", nonsensical=0.25, helped=0.5, over_suppressed=0.25)
    for _ in range(2):
        [made] = run_judge(judge, [cell()], scale=BENIGN, store=Store(tmp_path))
        assert made.probabilities and list(made.probabilities) == list(BENIGN.names)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("other", "--scale"),
        ('{"name": "s", "outcomes": []}', "outcomes"),
        ('{"name": "s", "outcomes": [{"name": "a"}, {"name": "b"}]}', "exactly one outcome"),
    ],
)
def test_a_scale_that_is_none_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    cells = tmp_path / "cells.jsonl"
    cells.write_text(cell().model_dump_json() + "\n")
    words = ["judge", "--judge", "rules", "--cells", str(cells), "--output", str(tmp_path / "o")]
    assert run([*words, "--scale", text]) == 2
    shown = capsys.readouterr().err
    assert said in shown and shown.count("\n") == 1


def test_a_label_is_the_same_bytes_made_or_found(tmp_path: Path) -> None:
    class Unsure(CountingJudge):
        def label(self, inputs: Sequence[JudgeInput]) -> Iterator[Verdict]:
            chances = dict(zip(BEHAVIOUR.names, (0.4, 0.3, 0.2, 0.1), strict=True))
            for item in inputs:
                yield Verdict(id=item.id, label="convergence", reason="r", probabilities=chances)

    store = Store(tmp_path)
    made, found = (run_judge(Unsure(), [cell()], store=store) for _ in range(2))
    assert [row.model_dump_json() for row in made] == [row.model_dump_json() for row in found]
