"""Runs against an endpoint that refuses, breaks, floods, filters, or says nothing at all."""

import itertools
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from steerability.chat import client, pool
from steerability.chat.client import Endpoint
from steerability.chat.reply import LARGEST_REPLY
from steerability.cli import run
from steerability.generate.endpoint import completion_key
from steerability.protocol.request import Request
from steerability.support.store import Store
from support.asking import KEY, Place
from support.chat import Chat, Step, completion, serve_chat, wait_until

REFUSES = Step({"error": {"message": "no such thing", "code": "unheard_of"}}, status=400)


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    monkeypatch.setattr(client, "WAIT_SECONDS", 0.01)
    monkeypatch.setenv("TEST_KEY", KEY)
    with serve_chat() as chat:
        yield chat


@pytest.fixture
def place(tmp_path: Path, chat: Chat) -> Place:
    return Place(tmp_path, chat)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    err = capsys.readouterr().err
    assert "Traceback" not in err and "fault of the program" not in err
    return err


def test_a_refusal_of_the_model_is_its_text(place: Place, chat: Chat) -> None:
    chat.to = {"q0": Step(completion({"content": None, "refusal": "I cannot help."}))}
    assert place.ask(count=1) == 0
    line = place.lines()[0]
    assert (line["text"], line["finish_reason"]) == ("I cannot help.", "stop")


def test_reasoning_without_content_is_thinking(place: Place, chat: Chat) -> None:
    message = {"content": None, "reasoning_content": "hm"}
    chat.to = {"q0": Step(completion(message, "length"))}
    assert place.ask(count=1) == 0
    line = place.lines()[0]
    assert (line["text"], line["thinking"], line["thinking_cut"]) == ("", "hm", False)
    assert place.ask(count=1, thinking=True) == 0
    line = place.lines()[0]
    assert (line["text"], line["thinking"], line["thinking_cut"]) == ("", "hm", True)
    assert chat.asked("q0") == 1


FILTERS = {
    "dashscope": Step({"error": {"code": "data_inspection_failed", "message": "m"}}, status=400),
    "openrouter": Step(
        {"error": {"code": 403, "message": "m", "metadata": {"flagged_input": "a"}}}, status=403
    ),
    "openrouter's 200": Step({"error": {"code": 403, "metadata": {"flagged_input": "a"}}}),
    "gemini": Step({"choices": [], "promptFeedback": {"blockReason": "SAFETY"}}),
    "gemini's empty choices": Step({"model": "m-0101", "choices": [], "usage": {}}),
    "gemini's null": Step({"model": "m-0101", "choices": None, "object": "chat.completion"}),
    "zhipu": Step(completion({"content": ""}, "sensitive")),
    "vertex": Step(completion(None, "SAFETY")),
    "a gateway's 500": Step({"error": {"code": "content_filter", "message": "m"}}, status=500),
}


@pytest.mark.parametrize("filtered", FILTERS.values(), ids=FILTERS)
def test_a_filter_is_a_cell_in_every_spelling_and_the_rest_goes_on(
    place: Place, chat: Chat, filtered: Step, capsys: pytest.CaptureFixture[str]
) -> None:
    chat.to = {"q1": filtered}
    assert place.ask("--concurrency", "1") == 0
    assert [line["finish_reason"] for line in place.lines()] == ["stop", "content_filter", "stop"]
    assert "replies filtered by the endpoint: 1" in said(capsys)
    begun = chat.begun
    assert place.ask() == 0 and chat.begun == begun


def test_a_refusal_nobody_knows_is_one_cell_where_the_endpoint_answers_others(
    place: Place, chat: Chat, capsys: pytest.CaptureFixture[str]
) -> None:
    chat.to = {"q0": REFUSES, "q2": Step({"error": {"code": 422, "message": "why not"}})}
    assert place.ask("--concurrency", "1") == 0
    ends = [line["finish_reason"] for line in place.lines()]
    assert ends == ["refused", "stop", "refused"]
    assert "requests refused by the endpoint: 2" in said(capsys)
    assert place.stored()["q0"]["refusal"] == "no such thing"
    assert place.stored()["q2"]["refusal"] == "why not"
    begun = chat.begun
    assert place.ask() == 0 and chat.begun == begun


def test_a_refusal_of_everything_ends_the_run_in_one_line_and_stores_none(
    place: Place, chat: Chat, capsys: pytest.CaptureFixture[str]
) -> None:
    chat.statuses = [400] * 40
    assert place.ask() == 2
    lines = said(capsys).splitlines()
    assert [line for line in lines if "no for 400" in line] == lines[-1:]
    assert not place.objects() and chat.begun <= 8


def test_what_arrives_is_stored_though_another_request_is_refused(
    place: Place, chat: Chat, capsys: pytest.CaptureFixture[str]
) -> None:
    for at in (1, 2):
        chat.to[f"q{at}"] = Step(completion({"content": f"late {at}"}), seconds=0.8)
    chat.to["q0"] = Step({"error": {"message": "who are you"}}, status=401, seconds=0.2)
    assert place.ask("--concurrency", "3", count=6) == 2
    stored = place.stored()
    assert {name: one["text"] for name, one in stored.items()} == {"q1": "late 1", "q2": "late 2"}
    err = said(capsys)
    assert "6 cells wanted, 0 found in the store, 2 made" in err and "who are you" in err
    del chat.to["q0"]
    assert place.ask() == 0
    assert chat.asked("q1") == chat.asked("q2") == 1


def test_what_never_arrives_is_waited_for_only_a_while(
    place: Place, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "DRAIN_SECONDS", 0.5)
    chat.to = {"q1": Step(completion({"content": "never"}), seconds=300)}
    chat.to["q0"] = Step({"error": "no"}, status=401, seconds=0.2)
    started = time.monotonic()
    assert place.ask("--concurrency", "2") == 2
    assert time.monotonic() - started < 60


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_acts_at_once_and_keeps_what_arrived(
    place: Place, chat: Chat, number: signal.Signals
) -> None:
    chat.to = {"q1": Step(completion({"content": "never"}), seconds=300)}
    job = place.start("--concurrency", "2", count=3)
    wait_until(lambda: len(place.objects()) == 2 and chat.begun == 3)
    sent = time.monotonic()
    job.send_signal(number)
    err = job.communicate(timeout=60)[1]
    assert time.monotonic() - sent < 30
    assert job.returncode == 1
    assert "interrupted; finished cells are in the store" in err
    assert "3 cells wanted, 0 found in the store, 2 made" in err and "Traceback" not in err
    assert sorted(place.stored()) == ["q0", "q2"]


UNFIT: dict[str, Any] = {
    "a list for a text": {"text": ["a"]},
    "a count below zero": {"prompt_tokens": -1},
    "a count as text": {"completion_tokens": "7"},
    "a count too large": {"completion_tokens": 2**40},
    "an unknown end": {"finish_reason": "tool_calls"},
    "a field too many": {"more": 1},
    "no object": None,
}


@pytest.mark.parametrize("fault", UNFIT.values(), ids=UNFIT)
def test_an_object_that_does_not_fit_is_set_aside_and_asked_for_again(
    place: Place, chat: Chat, fault: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.ask(count=2) == 0
    request = Request(id="r0", messages=[{"role": "user", "content": "q0"}], max_tokens=9)
    key = completion_key(Endpoint(chat.url, "m"), request)
    store = Store(place.folder / "store")
    sound = store.get(key)
    store.put(key, sound | fault if fault else ["a"])
    capsys.readouterr()
    assert place.ask(count=2) == 0
    assert "moved to" in said(capsys)
    assert store.get(key) == sound and chat.asked("q0") == 2 and chat.asked("q1") == 1
    assert len(list((place.folder / "store" / "aside").iterdir())) == 1


BROKEN = {
    "no JSON": b"<<<",
    "half": b'{"choices": [{"message": {"content": "ab',
    "a wrong type": json.dumps(completion({"content": {"a": 1}})).encode(),
    "deep": b'{"a":' * 100_000,
    "not UTF-8": b'{"choices": [{"message": {"content": "\xff"}}]}',
    "an error inside": json.dumps(completion({"content": "half"}, "error")).encode(),
    "the key": json.dumps(completion({"content": f"I saw {KEY}"})).encode(),
    "the key as a name": json.dumps(completion({"content": ""}, model=KEY)).encode(),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_reply_that_cannot_be_taken_is_one_cell_and_no_word_of_it_is_stored(
    place: Place, chat: Chat, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    chat.to = {"q1": Step(content)}
    assert place.ask() == 0
    assert [line["finish_reason"] for line in place.lines()] == ["stop", "refused", "stop"]
    assert "requests refused by the endpoint: 1" in said(capsys)
    for path in place.folder.rglob("*"):
        assert path.is_dir() or KEY not in path.read_text()


def test_a_reply_without_end_fills_no_memory(place: Place, chat: Chat) -> None:
    chat.to = {"q1": Step(b"x" * 2**16, endless=True)}
    assert place.ask() == 0
    assert place.stored()["q1"]["refusal"] == f"an answer of more than {LARGEST_REPLY:,} bytes"
    # the sockets on the way hold some more than is read
    assert chat.sent < client.ATTEMPTS * (LARGEST_REPLY + 2**24)


def test_an_error_without_end_is_read_as_far_as_it_is_shown(place: Place, chat: Chat) -> None:
    chat.to = {"q1": Step(b"no " * 2**14, status=400, endless=True)}
    assert place.ask() == 0
    assert place.stored()["q1"]["refusal"] == ("no " * 67)[:200].strip()


def test_a_reply_that_drips_is_given_up(
    place: Place, chat: Chat, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hours = itertools.count(step=3601)
    monkeypatch.setattr(client, "time", SimpleNamespace(monotonic=lambda: float(next(hours))))
    assert place.ask(count=1) == 1
    assert "no whole answer in 3600 s after 6 attempts" in said(capsys)
    assert chat.begun == client.ATTEMPTS


@pytest.mark.parametrize("status", [200, 400, 404])
def test_a_web_page_is_one_line_at_once(
    place: Place, chat: Chat, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    page = b"<!DOCTYPE html>\n<html><head><title>Hello</title></head></html>"
    for text in ("q0", client._PROBE[0]["content"]):
        chat.to[text] = Step(page, status=status, headers={"Content-Type": "text/html"})
    assert place.ask(count=1) == 2
    lines = [line for line in said(capsys).splitlines() if "a web page" in line]
    assert len(lines) == 1 and "check url" in lines[0] and "<" not in lines[0]
    assert chat.begun <= 2


def test_a_redirection_says_what_to_do(
    place: Place, chat: Chat, capsys: pytest.CaptureFixture[str]
) -> None:
    chat.statuses = [308] * 2
    assert place.ask(count=1) == 2
    assert "name that one as url" in said(capsys)


@pytest.mark.parametrize("key", ["none", "EMPTY", "not-needed", "sk-no-key-required", "a"])
def test_a_word_in_place_of_a_key_is_masked_nowhere(
    place: Place, chat: Chat, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", key)
    text = f"there is {key}, and {key}"
    chat.to = {"q0": Step(completion({"content": text}))}
    assert place.ask(count=1) == 0
    assert place.lines()[0]["text"] == text and place.stored()["q0"]["text"] == text


@pytest.mark.parametrize("key", ["schlüssel", "a\nb", "a\x01b", "\u200bsk"])
def test_a_key_that_no_header_holds_is_one_line(
    place: Place,
    chat: Chat,
    key: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TEST_KEY", key)
    assert place.ask(count=1) == 2
    err = said(capsys)
    assert "no header can hold" in err and key not in err and not chat.begun


@pytest.mark.parametrize(
    "url",
    ["localhost:1/v1", "http://me:pw@127.0.0.1/v1", "http://h:99999/v1", "http://h/v1?key=pw"],
)
def test_a_bad_address_is_one_line_before_anything_is_asked(
    place: Place, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.ask("--url", url) == 2
    err = said(capsys)
    assert len(err.splitlines()) == 1 and "address" in err and "pw" not in err


@pytest.mark.parametrize("name", ["ALL_PROXY", "http_proxy"])
def test_a_proxy_that_cannot_be_used_is_one_line(
    place: Place, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for other in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, "socks5://me:hunter2@127.0.0.1:9")
    assert place.ask() == 2
    err = said(capsys)
    assert "socks5" in err and "hunter2" not in err
    monkeypatch.setenv("NO_PROXY", "10.0.0.0/8,[::1,::1,127.0.0.1")
    assert place.ask() == 0


def test_a_forced_choice_is_refused_in_one_line(
    place: Place, chat: Chat, capsys: pytest.CaptureFixture[str]
) -> None:
    line = {"id": "r0", "messages": [{"role": "user", "content": "q"}], "answers": ["a", "b"]}
    words = place.words()
    (place.folder / "r.jsonl").write_text(json.dumps(line) + "\n")
    assert run(words) == 2
    err = said(capsys)
    assert len(err.splitlines()) == 1 and "no log-probabilities of given texts" in err
    assert not chat.begun


@pytest.mark.parametrize("field", ["model", "messages", "stream", "a b", ""])
def test_a_limit_has_a_name_of_its_own(
    place: Place, chat: Chat, field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.ask("--limit-field", field) == 2
    assert "no name of a limit" in said(capsys) and not chat.begun


def test_more_requests_at_once_than_a_connection_usually_takes(place: Place, chat: Chat) -> None:
    for at in range(130):
        chat.to[f"q{at}"] = Step(completion({"content": f"{at}"}), seconds=0.3)
    assert place.ask("--concurrency", "100000", count=130) == 0
    assert [line["text"] for line in place.lines()] == [str(at) for at in range(130)]


def test_bytes_that_are_not_what_their_header_says_are_one_cell(place: Place, chat: Chat) -> None:
    chat.to = {"q0": Step(b"no gzip", headers={"Content-Encoding": "gzip"})}
    assert place.ask(count=2) == 0
    assert [line["finish_reason"] for line in place.lines()] == ["refused", "stop"]


def test_an_error_that_passes_is_waited_for_though_its_status_is_200(
    place: Place, chat: Chat
) -> None:
    answers = [{"error": "try again"}, {"error": {"code": 503, "message": "busy"}}]
    answers += [completion({"content": "half"}, "error"), completion({"content": "whole"})]
    chat.to = {"q0": Step(answers)}
    assert place.ask(count=1) == 0
    assert place.lines()[0]["text"] == "whole" and chat.asked("q0") == 4


def test_a_refusal_for_the_key_s_sake_is_of_all(place: Place, chat: Chat) -> None:
    for status in (401, 402, 404, 405, 407, 410):
        before = chat.begun
        chat.to = {"q0": Step({"error": "no"}, status=status)}
        assert place.ask(count=1) == 2 and chat.begun == before + 1
    assert not place.objects()
