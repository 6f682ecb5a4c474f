"""Trying again what may pass, and asking an endpoint many things at once."""

import time
from email.utils import formatdate

import pytest

from steerability.chat import client
from steerability.chat.client import Client, Endpoint, RefusedError, ask_each
from steerability.support import retry as patience
from steerability.support.retry import PassingError, patiently, retry_after
from support.chat import serve_chat


def test_waits_double_and_are_never_shorter_than_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    told: list[tuple[str, float]] = []
    asked = iter([None, None, 5.0, 99.0, None])
    monkeypatch.setattr(patience.time, "sleep", slept.append)

    def fail() -> None:
        raise PassingError("status 503", next(asked))

    with pytest.raises(PassingError, match="status 503"):
        patiently(
            fail,
            attempts=5,
            first=1.0,
            longest=8.0,
            tell=lambda error, pause: told.append((str(error), pause)),
        )
    assert slept == [1.0, 2.0, 5.0, 8.0]
    assert told == [("status 503", pause) for pause in slept]


def test_other_failures_are_not_tried_again() -> None:
    tries: list[int] = []

    def fail() -> None:
        tries.append(1)
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk"):
        patiently(fail, attempts=5, first=1.0, longest=8.0)
    assert len(tries) == 1


def test_a_wait_is_a_number_or_a_date() -> None:
    assert retry_after(" 7 ") == 7.0 and retry_after("0.25") == 0.25
    assert retry_after("soon") is None and retry_after("") is None
    assert retry_after(formatdate(0)) == 0.0
    assert 50 < (retry_after(formatdate(time.time() + 60)) or 0) <= 60


def test_an_answer_without_what_is_wanted_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "WAIT_SECONDS", 0.01)
    with serve_chat() as chat:

        def ask(one: Client, item: str) -> str:
            body = {"messages": [{"role": "user", "content": item}]}
            return one.ask(body, lambda reply: str(reply["nothing like it"]))

        with pytest.raises(OSError, match="no chat completion after 6 attempts"):
            list(ask_each(Endpoint(chat.url, "m"), ["a"], ask, read_seconds=5))
        assert len(chat.seen) == client.ATTEMPTS


def test_the_key_is_taken_out_of_every_text_of_a_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", "sk-0123")
    with serve_chat() as chat:
        chat.answer = {"content": "sk-0123", "parts": [{"deep": "a sk-0123 b"}, 7, None]}

        def ask(one: Client, item: str) -> object:
            body = {"messages": [{"role": "user", "content": item}]}
            return one.ask(body, lambda reply: reply["choices"][0]["message"])

        endpoint = Endpoint(chat.url, "m", key_env="TEST_KEY")
        [(item, found)] = ask_each(endpoint, ["a"], ask, read_seconds=5)
        assert item == "a" and chat.keys == ["Bearer sk-0123"]
        assert found == {"content": "[key]", "parts": [{"deep": "a [key] b"}, 7, None]}
        chat.statuses = [403]
        with pytest.raises(RefusedError, match=r"status 403\): no for 403"):
            list(ask_each(endpoint, ["a"], ask, read_seconds=5))


def test_without_items_no_key_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_KEY", raising=False)
    endpoint = Endpoint("http://127.0.0.1:9/v1", "m", key_env="TEST_KEY")
    assert list(ask_each(endpoint, [], lambda *_: None, read_seconds=5)) == []
