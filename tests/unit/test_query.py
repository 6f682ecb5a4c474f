"""A model behind an OpenAI-compatible endpoint, on the loopback."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from steerability.chat import client
from support.asking import KEY, Place
from support.chat import Chat, serve_chat


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    monkeypatch.setattr(client, "WAIT_SECONDS", 0.01)
    monkeypatch.setenv("TEST_KEY", KEY)
    with serve_chat() as chat:
        yield chat


@pytest.fixture
def place(tmp_path: Path, chat: Chat) -> Place:
    return Place(tmp_path, chat)


def test_answers_come_in_request_order_and_are_asked_for_once(place: Place, chat: Chat) -> None:
    assert place.ask() == 0
    lines = place.lines()
    assert [line["text"] for line in lines] == ["echo q0", "echo q1", "echo q2"]
    assert {(line["finish_reason"], line["prompt_tokens"]) for line in lines} == {("stop", 7)}
    assert chat.seen[0] | {"messages": 0} == {
        "model": "m",
        "messages": 0,
        "max_tokens": 9,
        "temperature": 0.0,
    }
    assert place.ask(count=4) == 0
    assert len(chat.seen) == 4
    assert json.loads((place.folder / "facts.json").read_text())["served_by"] == ["m-0101"]


def test_the_key_is_sent_and_kept_nowhere(
    place: Place, chat: Chat, capsys: pytest.CaptureFixture[str]
) -> None:
    chat.statuses = [401]
    assert place.ask(count=1) == 2
    assert place.ask(count=1) == 0
    assert set(chat.keys) == {f"Bearer {KEY}"}
    said = capsys.readouterr()
    assert KEY not in said.err + said.out
    for path in place.folder.rglob("*"):
        assert path.is_dir() or KEY not in path.read_text()


def test_passing_failures_are_waited_for(place: Place, chat: Chat) -> None:
    chat.statuses = [429, 503, 500]
    assert place.ask() == 0
    assert len(place.lines()) == 3


def test_lasting_failure_keeps_what_was_finished(
    place: Place, chat: Chat, capsys: pytest.CaptureFixture[str]
) -> None:
    chat.statuses = [200, *[503] * 40]
    assert place.ask("--concurrency", "1") == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if "status 503" in line]
    assert len(lines) == 1 and "finished cells are in the store" in lines[0]
    chat.statuses = []
    assert place.ask() == 0
    assert len(chat.seen) == 3


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_refusal_is_one_line(
    place: Place, chat: Chat, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    chat.statuses = [status] * 3
    assert place.ask("--concurrency", "1") == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if f"status {status}" in line]
    assert len(lines) == 1 and f"no for {status}" in lines[0]


def test_without_the_key_nothing_is_asked(
    place: Place, chat: Chat, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TEST_KEY")
    assert place.ask() == 2
    assert "TEST_KEY is not set" in capsys.readouterr().err
    assert not chat.keys


def test_thinking_is_split_off_and_a_cut_one_is_flagged(place: Place, chat: Chat) -> None:
    chat.answer = {"content": "<think>a</think> b </think>c"}
    assert place.ask(count=1, thinking=True) == 0
    assert (place.lines()[0]["thinking"], place.lines()[0]["text"]) == ("a</think> b ", "c")
    chat.answer = {"reasoning_content": "why"}
    assert place.ask(count=1, thinking=True, max_tokens=10) == 0
    assert (place.lines()[0]["thinking"], place.lines()[0]["text"]) == ("why", "echo q0")
    chat.answer, chat.finish = {"content": "no end"}, "length"
    assert place.ask(count=1, thinking=True, max_tokens=11) == 0
    line = place.lines()[0]
    assert (line["text"], line["thinking"]) == ("no end", "")
    assert line["thinking_cut"] and line["finish_reason"] == "length"


@pytest.mark.parametrize("said", ["", "half of a"])
def test_a_filtered_reply_is_told_and_not_taken_for_the_models_own(
    place: Place, chat: Chat, capsys: pytest.CaptureFixture[str], said: str
) -> None:
    chat.answer, chat.finish = {"content": said}, "content_filter"
    assert place.ask(count=2, thinking=True) == 0
    assert "replies filtered by the endpoint: 2" in capsys.readouterr().err
    line = place.lines()[0]
    assert (line["finish_reason"], line["text"]) == ("content_filter", said)
    assert not line["thinking_cut"]


@pytest.mark.parametrize("code", ["content_filter", "content_policy_violation"])
def test_a_prompt_that_the_filter_refuses_is_a_cell_and_the_rest_goes_on(
    place: Place, chat: Chat, code: str
) -> None:
    chat.statuses, chat.code = [400], code
    assert place.ask("--concurrency", "1") == 0
    ends = [(line["finish_reason"], line["text"]) for line in place.lines()]
    assert sorted(ends)[0] == ("content_filter", "")
    assert [reason for reason, _ in sorted(ends)[1:]] == ["stop", "stop"]
    assert json.loads((place.folder / "facts.json").read_text())["served_by"] == ["m-0101"]
    assert place.ask() == 0 and len(chat.seen) == 2


@pytest.mark.parametrize("finish", [None, "tool_calls", "eos", ["stop"]])
def test_what_ended_a_reply_is_not_guessed(place: Place, chat: Chat, finish: Any) -> None:
    chat.finish = finish
    assert place.ask(count=1) == 0
    assert place.lines()[0]["finish_reason"] is None


def test_sampling_is_sent_and_belongs_to_the_key(place: Place, chat: Chat) -> None:
    sampling = {"temperature": 0.7, "top_p": 0.9, "top_k": 5, "seed": 3}
    assert place.ask("--limit-field", "max_completion_tokens", count=1, sampling=sampling) == 0
    assert chat.seen[0] | sampling == chat.seen[0]
    assert chat.seen[0]["max_completion_tokens"] == 9 and "max_tokens" not in chat.seen[0]
    key = place.lines()[0]["key"]
    assert place.ask(count=1, sampling=sampling | {"seed": 4}) == 0
    assert place.lines()[0]["key"] != key


def test_a_plain_prompt_is_refused(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert place.ask(count=1, messages=None, prompt="p") == 2
    assert "an endpoint takes messages" in capsys.readouterr().err


def test_samples_are_asked_for_one_by_one_with_seeds_of_their_own(place: Place, chat: Chat) -> None:
    warm = {"sampling": {"temperature": 0.7, "seed": 2**32 - 1}}
    assert place.ask(count=1, **warm) == 0
    [first] = place.lines()
    for sample in (0, 1, 2):
        assert place.ask(count=1, sample=sample, **warm) == 0
        [line] = place.lines()
        assert (line["key"] == first["key"]) is (sample == 0)
    assert [body["seed"] for body in chat.seen] == [2**32 - 1, 0, 1]
    keys = [json.loads(path.read_text())["key"] for path in place.objects()]
    assert sorted(key.get("sample", 0) for key in keys) == [0, 1, 2]
    assert len({json.dumps(key | {"sample": 0}, sort_keys=True) for key in keys}) == 1
    assert [("sample" in key) for key in keys].count(False) == 1
