"""What every kind of reply means, by hand: the table of docs/weights.md, line by line."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steerability.chat.filters import read_refusal
from steerability.chat.reply import (
    DEEPEST_REPLY,
    ErrorReplyError,
    NoChoiceError,
    Reply,
    UnreadableError,
    read_reply,
)
from steerability.support.canonical import canonical_json
from support.chat import completion


def read(body: Any) -> Reply:
    return read_reply(json.dumps(body).encode())


CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "f", "arguments": '{"b": 1,"a":2}'},
}
CALLED = '<tool_call>{"arguments":{"a":2,"b":1},"name":"f"}</tool_call>'


@pytest.mark.parametrize(
    ("message", "text", "thinking"),
    [
        ({"content": "a"}, "a", None),
        ({"content": None}, "", None),
        ({}, "", None),
        # a refusal is what the model says
        ({"content": None, "refusal": "I cannot."}, "I cannot.", None),
        ({"content": "So far.", "refusal": "I cannot."}, "So far.\nI cannot.", None),
        ({"content": [{"type": "refusal", "refusal": "I cannot."}]}, "I cannot.", None),
        # parts are one text
        ({"content": ["a", {"type": "text", "text": "b"}]}, "ab", None),
        (
            {"content": [{"type": "output_text", "text": "b"}, {"type": "text", "text": ""}]},
            "b",
            None,
        ),
        (
            {"content": [{"type": "image_url", "image_url": {}}]},
            '<part>{"type":"image_url"}</part>',
            None,
        ),
        ({"content": []}, "", None),
        # reasoning is thinking, wherever it stands
        ({"content": None, "reasoning_content": "hm"}, "", "hm"),
        ({"content": "", "reasoning": "hm"}, "", "hm"),
        ({"content": "a", "reasoning_content": "", "reasoning": "hm"}, "a", "hm"),
        (
            {"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}]},
            "a",
            "hm",
        ),
        (
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]},
            "",
            "hm",
        ),
        ({"content": [{"type": "reasoning", "text": "hm"}]}, "", "hm"),
        # calls of tools are text in one form, whatever the endpoint's
        ({"content": None, "tool_calls": [CALL]}, CALLED, None),
        ({"content": "I call.", "tool_calls": [CALL, CALL]}, f"I call.\n{CALLED}\n{CALLED}", None),
        ({"function_call": {"name": "f", "arguments": {"a": 2, "b": 1}}}, CALLED, None),
        (
            {"tool_calls": [{"function": {"name": "f", "arguments": "no json"}}]},
            '<tool_call>{"arguments":"no json","name":"f"}</tool_call>',
            None,
        ),
        (
            {"tool_calls": [{"type": "custom", "custom": {"name": "sh", "input": "ls"}}]},
            '<tool_call>{"arguments":"ls","name":"sh"}</tool_call>',
            None,
        ),
        (
            {"tool_calls": [{"function": {"name": "f", "arguments": '{"a": 1e999}'}}]},
            '<tool_call>{"arguments":"{\\"a\\": 1e999}","name":"f"}</tool_call>',
            None,
        ),
        (
            {"tool_calls": [{"function": {"name": "f", "arguments": {"a": 2**60}}}]},
            '<tool_call>{"arguments":"{\\"a\\": 1152921504606846976}","name":"f"}</tool_call>',
            None,
        ),
    ],
)
def test_everything_a_message_says_is_kept(message: Any, text: str, thinking: str | None) -> None:
    reply = read(completion(message))
    assert (reply.text, reply.thinking, reply.refusal) == (text, thinking, None)
    assert "refusal" not in reply.value()


def test_what_an_ordinary_reply_is_stored_as_has_not_changed() -> None:
    assert read(completion({"role": "assistant", "content": "a"})).value() == {
        "text": "a",
        "thinking": None,
        "finish_reason": "stop",
        "prompt_tokens": 7,
        "completion_tokens": 3,
        "served_by": "m-0101",
    }


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("stop", "stop"),
        ("STOP", "stop"),
        ("length", "length"),
        ("MAX_TOKENS", "length"),
        *((word, "content_filter") for word in ("content_filter", "content_filtered", "SAFETY")),
        *((word, "content_filter") for word in ("sensitive", "PROHIBITED_CONTENT", "BLOCKLIST")),
        *((word, "content_filter") for word in ("RECITATION", "SPII", "IMAGE_SAFETY", "refusal")),
        *((word, "content_filter") for word in ("guardrail_intervened", "ERROR_TOXIC")),
        ("content_filter: PROHIBITED_CONTENT", "content_filter"),
        *((word, None) for word in (None, "tool_calls", "function_call", "eos", "OTHER", "", 7)),
        *((word, None) for word in (["stop"], {"a": 1}, True, "case_sensitive")),
    ],
)
def test_a_filter_is_known_by_any_name_and_nothing_else_is_guessed(said: Any, kept: Any) -> None:
    assert read(completion({"content": "half"}, said)).finish_reason == kept
    assert read(completion({"content": "half"}, said)).text == "half"


def test_the_names_of_a_gateway_and_of_azure_tell_of_a_filter_too() -> None:
    body = completion({"content": ""}, "stop")
    body["choices"][0]["native_finish_reason"] = "SAFETY"
    assert read(body).finish_reason == "content_filter"
    body = completion({"content": ""}, "stop")
    results = {"hate": {"filtered": False, "severity": "low"}, "violence": {"filtered": True}}
    body["choices"][0]["content_filter_results"] = results
    assert read(body).finish_reason == "content_filter"
    results["violence"]["filtered"] = False
    assert read(body).finish_reason == "stop"
    # a refusal in the model's own words is no filter, whatever ended it
    assert read(completion({"refusal": "No."}, "refusal")).finish_reason is None
    body = completion()
    body["choices"] = [{"finish_reason": "SAFETY", "index": 0}]
    assert (read(body).text, read(body).finish_reason) == ("", "content_filter")


@pytest.mark.parametrize(
    "body",
    [
        {"choices": [], "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}},
        {
            "choices": [],
            "prompt_filter_results": [{"content_filter_results": {"x": {"filtered": True}}}],
        },
        {"choices": None, "base_resp": {"status_code": 1026, "status_msg": "input sensitive"}},
        {"choices": [], "input_sensitive": True},
    ],
)
def test_a_prompt_that_was_blocked_has_no_choice(body: Any) -> None:
    assert read(body).finish_reason == "content_filter"
    assert read(body).refusal


@pytest.mark.parametrize("body", [{"choices": []}, {"choices": None}, {"usage": {}}])
def test_a_reply_without_a_choice_is_told_apart(body: Any) -> None:
    with pytest.raises(NoChoiceError):
        read(body)


@pytest.mark.parametrize(
    ("count", "kept"),
    [(0, 0), (7, 7), (2**31 - 1, 2**31 - 1)]
    + [(bad, None) for bad in (2**31, -1, 7.0, "7", True, None, [7], 10**30, {"a": 1})],
)
def test_a_count_that_cannot_be_is_not_known(count: Any, kept: int | None) -> None:
    reply = read(completion({"content": "a"}, usage={"prompt_tokens": count}))
    assert (reply.text, reply.prompt_tokens, reply.completion_tokens) == ("a", kept, None)


@pytest.mark.parametrize("usage", [None, 7, [], "many"])
def test_a_reply_without_usage_is_a_reply(usage: Any) -> None:
    assert read(completion({"content": "a"}, usage=usage, model=["m"])).served_by is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"[]",
        b"7",
        b"{}",
        b'{"choices": 7}',
        b'{"choices": {"0": 1}}',
        b'{"choices": ["a"]}',
        b'{"choices": [{}]}',
        b'{"choices": [{"message": null, "finish_reason": "stop"}]}',
        b'{"choices": [{"message": {"content": 7}}]}',
        b'{"choices": [{"message": {"content": {"text": "a"}}}]}',
        b'{"choices": [{"message": {"content": [7]}}]}',
        b'{"choices": [{"message": {"content": "a", "refusal": 7}}]}',
        b'{"choices": [{"message": {"content": "a", "reasoning": 7}}]}',
        b'{"choices": [{"message": {"content": "a", "tool_calls": "f"}}]}',
        b'{"choices": [{"message": {"content": "a"}, "x": NaN}]}',
        b'{"choices": [{"message": {"content": "\xff"}}]}',
        b'{"a": ' * 100_000,
        b'{"choices": [{"message": {"content": "a", "x": ' + b"[" * 900 + b"]" * 900 + b"}}]}",
        b'{"choices": [{"message": {"content": "a"}}], "x": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_completion_is_an_error_and_never_a_traceback(content: bytes) -> None:
    with pytest.raises(UnreadableError):
        read_reply(content)


def test_depth_has_a_limit_that_is_met_exactly() -> None:
    def deep(levels: int) -> bytes:
        inner: Any = 0
        for _ in range(levels - 1):
            inner = [inner]
        return json.dumps(completion({"content": "a"}) | {"x": inner}).encode()

    assert read_reply(deep(DEEPEST_REPLY)).text == "a"
    with pytest.raises(UnreadableError, match="64 levels"):
        read_reply(deep(DEEPEST_REPLY + 1))


def test_half_of_a_pair_becomes_the_sign_of_what_cannot_be_read() -> None:
    content = rb'{"choices": [{"message": {"content": "\ud83d\ude00 \ud83d"}}], "model": "\udc00"}'
    reply = read_reply(content)
    assert reply.text == "\U0001f600 \ufffd" and reply.served_by == "\ufffd"
    canonical_json(reply.value())


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": {"code": "content_filter", "innererror": {"code": "x"}, "message": "m"}}),
        (400, {"error": {"innererror": {"code": "ResponsibleAIPolicyViolation"}, "message": "m"}}),
        (400, {"error": {"code": "content_policy_violation", "message": "m"}}),
        (400, {"error": {"code": "invalid_prompt", "message": "m"}}),
        (400, {"error": {"code": "data_inspection_failed", "type": "data_inspection_failed"}}),
        (400, {"code": "DataInspectionFailed", "message": "Input data may contain …"}),
        (400, {"error": {"message": "<400> InternalError.Algo.DataInspectionFailed: Input …"}}),
        (500, {"error": {"message": "Input data may contain inappropriate content."}}),
        (403, {"error": {"code": 403, "message": "m", "metadata": {"flagged_input": "ab"}}}),
        (403, {"error": {"code": 403, "message": 'Your input was flagged for "violence".'}}),
        (
            400,
            {"error": {"code": 400, "metadata": {"raw": '{"error": {"code": "content_filter"}}'}}},
        ),
        (400, [{"error": {"status": "SAFETY", "message": "m"}}]),
        (
            400,
            {
                "error": {
                    "code": "1301",
                    "message": "系统检测到输入或生成内容可能包含不安全或敏感内容",
                }
            },
        ),
        (400, {"error": {"code": "SensitiveContentDetected.SevereViolation", "message": "m"}}),
        (400, {"error": {"type": "content_filter", "message": "considered high risk"}}),
        (400, {"error": {"message": "Content Exists Risk", "code": "invalid_request_error"}}),
        (403, {"code": "denied", "error": "Content violates usage guidelines."}),
        (451, {"detail": "blocked by the content policy"}),
    ],
)
def test_a_filter_that_refuses_is_known_in_every_spelling(status: int, body: Any) -> None:
    assert read_refusal(status, json.dumps(body).encode()).filtered


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": {"code": "context_length_exceeded", "message": "too long"}}),
        (
            400,
            {"error": {"message": "temperature is not supported", "type": "invalid_request_error"}},
        ),
        (400, {"error": {"code": "invalid_value", "message": "seed must be positive"}}),
        (400, {"error": {"code": "Arrearage", "message": "Access denied, account in arrears"}}),
        (401, {"error": {"code": "content_filter", "message": "no such key"}}),
        (429, {"error": {"code": "rate_limit", "message": "flagged: violates the rate policy"}}),
    ],
)
def test_another_refusal_is_no_filter(status: int, body: Any) -> None:
    assert not read_refusal(status, json.dumps(body).encode()).filtered


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"error": {"message": "no\\nsuch \\u001b[31mmodel"}}', "no such [31mmodel"),
        (b'{"error": "no"}', "no"),
        (b'{"detail": [{"msg": "field required"}]}', "field required"),
        (b'{"object": "error", "message": "no"}', "no"),
        (b'[{"error": {"message": "no"}}]', "no"),
        (b"plain\ntext", "plain text"),
        (b"<!DOCTYPE html><html><body>Not here", "a web page, not an API's answer"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"", ""),
        (b'{"error": ' * 50_000, ('{"error": ' * 20)[:199].rstrip()),
        (b'{"error": {"message": {"a": 7}}}', ""),
    ],
)
def test_the_words_of_a_refusal_are_one_short_line(content: bytes, words: str) -> None:
    assert read_refusal(400, content).words.rstrip() == words


def test_an_error_in_place_of_a_completion_is_one_whatever_the_status() -> None:
    with pytest.raises(ErrorReplyError) as caught:
        read({"error": {"code": 502, "message": "the provider is down"}})
    assert caught.value.refusal.status == 502
    body = completion({"content": "half"}, "error")
    body["choices"][0]["error"] = {"code": "503", "message": "m"}
    with pytest.raises(ErrorReplyError) as caught:
        read(body)
    assert caught.value.refusal.status == 503
    with pytest.raises(ErrorReplyError) as caught:
        read({"error": {"code": 400, "message": "content_filter", "type": "content_filter"}})
    assert caught.value.refusal.filtered


WORDS = ["content", "refusal", "reasoning", "tool_calls", "function", "name", "arguments", "type"]
WORDS += ["text", "thinking", "choices", "message", "finish_reason", "usage", "model", "error"]
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(WORDS)
)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(message=st.dictionaries(st.sampled_from(WORDS), ANYTHING), rest=ANYTHING, finish=ANYTHING)
def test_any_reply_is_read_or_refused_and_what_is_read_can_be_stored(
    message: Any, rest: Any, finish: Any
) -> None:
    body = completion(message, finish, usage=rest)
    content = json.dumps(body).encode()
    try:
        value = read_reply(content).value()
    except (UnreadableError, ErrorReplyError):
        return
    assert canonical_json(value)
    assert Reply.model_validate(json.loads(canonical_json(value))).value() == value
    assert not any(isinstance(one, float) and math.isnan(one) for one in value.values())
