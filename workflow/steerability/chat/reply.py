"""The one reader of chat replies: what an endpoint sent becomes a typed reply, or an error.

docs/weights.md has the meaning of everything that is read here. Nothing that this module did not
check is stored.
"""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from steerability.chat.filters import (
    Refusal,
    is_filter,
    is_filtered_result,
    refusal_of,
    says_filter,
    status_of,
)
from steerability.protocol.base import LARGEST
from steerability.protocol.request import FILTERED
from steerability.support.canonical import canonical_json
from steerability.support.jsonl import explain

LARGEST_REPLY = 8 * 2**20
"""Most bytes of a reply; a longer one is not read to its end."""
DEEPEST_REPLY = 64
"""Most levels of objects and lists in a reply."""

_LONGEST_NAME = 500

Finish = Literal["stop", "length", "content_filter", "refused"]
_Tokens = Annotated[int, Field(ge=0, le=LARGEST)]
# what else an endpoint may say (nothing, words of its own) is not known to be any of these
_FINISHES: dict[str, Finish] = {
    "stop": "stop",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
}


class UnreadableError(ValueError):
    """An answer that is no chat completion, in words that go on "an answer …"."""


class NoChoiceError(UnreadableError):
    """A completion without a choice, and without a word why."""


class ErrorReplyError(Exception):
    """An error in place of a completion, though the status says all is well."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.words)
        self.refusal = refusal


class Reply(BaseModel):
    """What is kept of a reply, whoever asked.

    Attributes:
        text: the reply's text, tool calls and all.
        thinking: what the endpoint gives as reasoning; None where it gives none.
        finish_reason: ``stop``, ``length``, ``content_filter``; ``refused`` where this one request
            is refused; None where the endpoint says something else.
        prompt_tokens: None where the endpoint gives no count that can be.
        completion_tokens: likewise.
        served_by: the name of the model that answered.
        refusal: the endpoint's words where it refuses to reply; they are not the model's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    text: str
    thinking: str | None
    finish_reason: Finish | None
    prompt_tokens: _Tokens | None
    completion_tokens: _Tokens | None
    served_by: str | None
    refusal: str | None = None

    def value(self) -> dict[str, Any]:
        """Return the JSON value that is stored: ``refusal`` only where there is one."""
        return self.model_dump(exclude={"refusal"} if self.refusal is None else None)


def kept_back(words: str, reason: Literal["content_filter", "refused"] = FILTERED) -> Reply:
    """Return the reply of an endpoint that refuses to reply.

    Args:
        words: its own.
        reason: ``content_filter``, or ``refused`` where that is not known to be the reason.
    """
    return Reply(
        text="",
        thinking=None,
        finish_reason=reason,
        prompt_tokens=None,
        completion_tokens=None,
        served_by=None,
        refusal=words,
    )


class _Wire(BaseModel):
    """What an endpoint sends: fields that are not named here are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class _Part(_Wire):
    type: str
    text: str | None = None
    refusal: str | None = None
    thinking: "str | list[_Part] | None" = None
    reasoning: "str | list[_Part] | None" = None


class _Function(_Wire):
    name: str
    arguments: str | dict[str, JsonValue] | None = None
    input: str | None = None


class _Call(_Wire):
    function: _Function | None = None
    custom: _Function | None = None


_Text = str | list[str | _Part] | None


class _Message(_Wire):
    content: _Text = None
    refusal: str | None = None
    reasoning_content: _Text = None
    reasoning: _Text = None
    tool_calls: list[_Call] | None = None
    function_call: _Function | None = None


class _Choice(_Wire):
    message: _Message | None = None
    finish_reason: Any = None
    native_finish_reason: Any = None
    content_filter_results: Any = None
    error: Any = None


class _Completion(_Wire):
    choices: list[_Choice] | None
    usage: Any = None
    model: Any = None


def read_reply(content: bytes) -> Reply:
    """Read the body of an answer with status 200.

    Args:
        content: the body, at most ``LARGEST_REPLY`` bytes.

    Raises:
        ErrorReplyError: it is an error.
        NoChoiceError: it holds no choice, and does not say why.
        UnreadableError: it is no chat completion.
    """
    body = _parse(content)
    if not isinstance(body, dict):
        raise UnreadableError("that is no chat completion (no object)")
    if body.get("error") and not body.get("choices"):
        raise ErrorReplyError(_refusal(body["error"]))
    if not body.get("choices"):
        return _without_choice(body)
    try:
        whole = _Completion.model_validate(body)
    except ValidationError as error:
        raise UnreadableError(f"that is no chat completion ({explain(error)[:120]})") from None
    choice = (whole.choices or [])[0]
    if choice.error or choice.finish_reason == "error":
        raise ErrorReplyError(_refusal(choice.error or "the reply broke off with an error"))
    message, reason = choice.message, _finish(choice)
    if message is None:
        if reason != FILTERED:
            raise UnreadableError("that is no chat completion (a choice without a message)")
        message = _Message()
    spoken, thought = _spoken(message.content)
    parts = (spoken, message.refusal or "", *_calls(message))
    given = (*map(_plain, (message.reasoning_content, message.reasoning)), thought)
    usage = whole.usage if isinstance(whole.usage, dict) else {}
    return Reply(
        text="\n".join(part for part in parts if part),
        thinking=next((words for words in given if words), None),
        finish_reason=reason,
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        served_by=_name(whole.model),
    )


def _parse(content: bytes) -> JsonValue:
    """Parse JSON: UTF-8, no NaN, not too deep, lone surrogates replaced by U+FFFD."""
    try:
        text = content.decode("utf-8-sig")
        value: JsonValue = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"that is no JSON ({type(error).__name__})") from None
    level: list[JsonValue] = [value]
    for _ in range(DEEPEST_REPLY + 1):
        level = [
            inner
            for item in level
            if isinstance(item, list | dict)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return _repaired(value) if "\\ud" in text.lower() else value
    raise UnreadableError(f"whose JSON is more than {DEEPEST_REPLY} levels deep")


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def _repaired(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_repaired(item) for item in value]
    if isinstance(value, dict):
        return {str(_repaired(name)): _repaired(item) for name, item in value.items()}
    return value


def _refusal(error: object) -> Refusal:
    return refusal_of(status_of(error, 200), error)


def _without_choice(body: dict[str, JsonValue]) -> Reply:
    if says_filter(body):
        return kept_back("no choice: the filter refused the prompt")
    if any(body.get(key) for key in ("detail", "message", "base_resp")) and "usage" not in body:
        raise ErrorReplyError(_refusal(body))
    if "choices" in body or "usage" in body or body.get("object") == "chat.completion":
        raise NoChoiceError("without a choice")
    raise UnreadableError("that is no chat completion (no choices)")


def _finish(choice: _Choice) -> Finish | None:
    words = (choice.finish_reason, choice.native_finish_reason)
    if any(map(is_filter, words)) or is_filtered_result(choice.content_filter_results):
        return FILTERED
    declines = choice.message is not None and choice.message.refusal
    if choice.finish_reason == "refusal" and not declines:
        return FILTERED
    said = choice.finish_reason
    return _FINISHES.get(said.lower()) if isinstance(said, str) else None


def _spoken(content: _Text) -> tuple[str, str]:
    """Return the text of a message's content, and the reasoning among its parts."""
    if content is None or isinstance(content, str):
        return content or "", ""
    spoken, thought = [], []
    for part in content:
        if isinstance(part, str):
            spoken.append(part)
        elif part.thinking is not None or part.reasoning is not None:
            thought.append(_plain(part.thinking) or _plain(part.reasoning))
        elif part.type in ("thinking", "reasoning"):
            thought.append(part.text or "")
        elif part.text is not None or part.refusal is not None:
            spoken.append(part.text or part.refusal or "")
        else:
            spoken.append(_element("part", {"type": part.type}))
    return "".join(spoken), "".join(thought)


def _plain(text: "_Text | list[_Part]") -> str:
    if text is None or isinstance(text, str):
        return text or ""
    return "".join(part if isinstance(part, str) else part.text or "" for part in text)


def _calls(message: _Message) -> list[str]:
    calls = [call.function or call.custom for call in message.tool_calls or []]
    return [_call(one) for one in (*calls, message.function_call) if one is not None]


def _call(function: _Function) -> str:
    """Return a tool call as text: its name, and its arguments as JSON where they are JSON."""
    given: JsonValue = function.arguments if function.arguments is not None else function.input
    if isinstance(given, str):
        try:
            parsed = _parse(given.encode("utf-8"))
            return _element("tool_call", {"name": function.name, "arguments": parsed})
        except (UnreadableError, ValueError):
            pass
    try:
        return _element("tool_call", {"name": function.name, "arguments": given})
    except ValueError:
        words = json.dumps(given, ensure_ascii=False, sort_keys=True)
        return _element("tool_call", {"name": function.name, "arguments": words})


def _element(name: str, value: JsonValue) -> str:
    return f"<{name}>{canonical_json(value).decode('utf-8')}</{name}>"


def _count(value: object) -> int | None:
    """Return a count of tokens; None where there is none that can be."""
    return value if type(value) is int and 0 <= value <= LARGEST else None


def _name(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME else None
