"""Trying again what may pass, and asking an endpoint many things at once."""

import time
from email.utils import formatdate

import pytest

from steerability.chat import client
from steerability.chat.client import Client, Endpoint, RefusedError, ask_each
from steerability.chat.reply import Reply
from steerability.support import retry as patience
from steerability.support.retry import PassingError, patiently, retry_after
from support.chat import Step, serve_chat


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
    for odd in ("\u00b2", "-1", "nan", "Mon, 99 Foo", "1, 2 Jan 99999999999 1:1:1 +9999", "1.2.3"):
        assert retry_after(odd) in (None, 0.0)
    assert 50 < (retry_after(formatdate(time.time() + 60)) or 0) <= 60


def ask_one(one: Client, item: str) -> Reply:
    return one.ask({"messages": [{"role": "user", "content": item}]})


def test_an_answer_that_is_no_completion_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "WAIT_SECONDS", 0.01)
    with serve_chat() as chat:
        chat.answer = {"content": 7}
        with pytest.raises(OSError, match=r"no chat completion .* after 6 attempts"):
            list(ask_each(Endpoint(chat.url, "m"), ["a"], ask_one, read_seconds=5))
        assert chat.asked("a") == client.ATTEMPTS


def test_a_refusal_shows_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", "sk-0123")
    with serve_chat() as chat:
        endpoint = Endpoint(chat.url, "m", key_env="TEST_KEY")
        [(item, reply)] = ask_each(endpoint, ["a"], ask_one, read_seconds=5)
        assert (item, reply.text) == ("a", "echo a") and chat.keys == ["Bearer sk-0123"]
        error = {"error": {"message": "no such key: sk-0123, nor sk-01234"}}
        chat.to = {"a": Step(error, status=401)}
        with pytest.raises(
            RefusedError, match=r"\(status 401\): no such key: \[key\], nor sk-01234"
        ):
            list(ask_each(endpoint, ["a"], ask_one, read_seconds=5))


def test_without_items_no_key_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_KEY", raising=False)
    endpoint = Endpoint("http://127.0.0.1:9/v1", "m", key_env="TEST_KEY")
    assert list(ask_each(endpoint, [], lambda *_: None, read_seconds=5)) == []
