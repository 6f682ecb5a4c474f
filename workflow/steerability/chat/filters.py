"""How endpoints say no: the many spellings of a content filter, and errors in words.

A filter is known by the endpoint's own codes (error codes, types, finish reasons), compared without
case and punctuation by their stems, or, where a code says nothing, by phrases of its message.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_SHOWN = 200
_DEPTH = 8
_CODE_LENGTH = 128

# stems of codes, in their many compositions: OpenAI, Azure, DashScope, Gemini, OpenRouter, Zhipu,
# Volcengine, Moonshot, Bedrock, Cohere
_STEMS = (
    *("contentfilter", "contentpolicy", "policyviolation", "responsibleai", "datainspection"),
    *("sensitive", "safety", "prohibitedcontent", "blocklist", "spii", "recitation", "moderation"),
    *("guardrail", "flagged", "unsafe", "toxic", "inappropriate", "contentrisk", "contentblocked"),
    *("contentexistsrisk", "invalidprompt", "jailbreak"),
)
# whole codes that say it by number or by one word (Zhipu; MiniMax, of prompt and of reply)
_WHOLE = frozenset({"blocked", "1301", "1026", "1027"})
_NONE_OF_THEM = ("casesensitive", "safetyidentifier", "ratelimit", "unspecified", "quota")
_PHRASES = re.compile(
    r"content exists risk|inappropriate content|content management policy|content policy"
    r"|content filter|safety system|considered high risk|datainspectionfailed"
    r"|(?:input|prompt|request|content) (?:was|has been|is|were) flagged|sensitive content"
    r"|(?:violat|flagged)\w*[^.]{0,80}(?:polic(?:y|ies)|guidelines)|safety_check|敏感|违规|不合规",
    re.IGNORECASE,
)
# a key, a bill, a name or a rate, whatever the words
_OTHER_BUSINESS = frozenset({401, 402, 404, 407, 408, 429})
_CODE_KEYS = frozenset(
    {"code", "type", "status", "reason", "reasons", "finish_reason", "finishReason"}
    | {"native_finish_reason", "blockReason", "block_reason", "error_code", "status_code"}
    | {"provider_code", "error_type"}
)
_TRUE_KEYS = frozenset({"input_sensitive", "output_sensitive", "flagged_input"})
_WORD_KEYS = (
    "message",
    "detail",
    "msg",
    "status_msg",
    "error_message",
    "error",
    "errors",
    "base_resp",
)
_HTML = re.compile(rb"\s*(?:<!doctype html|<html|<head|<body|<!--)", re.IGNORECASE)


@dataclass(frozen=True)
class Refusal:
    """What an endpoint says in place of a reply.

    Attributes:
        status: of HTTP, or the one that the error names.
        words: its reason in one short line, empty where it gives none.
        filtered: a content filter is what refuses.
    """

    status: int
    words: str
    filtered: bool


def is_filter(code: object) -> bool:
    """Whether a code (an error code, a finish reason) is that of a content filter."""
    if isinstance(code, bool) or not isinstance(code, str | int):
        return False
    bare = re.sub(r"[^a-z0-9]", "", str(code)[:_CODE_LENGTH].lower())
    if any(stem in bare for stem in _NONE_OF_THEM):
        return False
    return bare in _WHOLE or any(stem in bare for stem in _STEMS)


def is_filtered_result(results: object) -> bool:
    """Whether one of Azure's results of filters (category to result) says ``filtered``."""
    if not isinstance(results, dict):
        return False
    return any(isinstance(one, dict) and one.get("filtered") is True for one in results.values())


def says_filter(error: object) -> bool:
    """Whether a code anywhere in an error object is that of a content filter."""
    return any(is_filter(code) for code in _codes(error, _DEPTH))


def is_html(content: bytes) -> bool:
    """Whether an answer is a web page."""
    return _HTML.match(content[:1000]) is not None


def read_refusal(status: int, content: bytes) -> Refusal:
    """Read what an endpoint answers with a status other than 200.

    Args:
        status: of HTTP.
        content: the body; it may be cut, empty, or anything.
    """
    if is_html(content):
        return Refusal(status, "a web page, not an API's answer", filtered=False)
    text = content.decode("utf-8", errors="replace")
    try:
        error = json.loads(text)
    except (ValueError, RecursionError):
        return refusal_of(status, text)
    return refusal_of(status, error)


def refusal_of(status: int, error: object) -> Refusal:
    """Read an error object, or a text in its place."""
    words = one_line(_words(error, _DEPTH))
    filtered = status not in _OTHER_BUSINESS and (
        says_filter(error) or _PHRASES.search(words) is not None
    )
    return Refusal(status, words[:_SHOWN], filtered)


def one_line(text: str) -> str:
    """Return a text as one line of printable characters."""
    text = "".join(mark if mark.isprintable() else " " for mark in text[: 20 * _SHOWN])
    return " ".join(text.split())


def status_of(error: object, status: int) -> int:
    """Return the HTTP status that an error object names as its code, else ``status``."""
    if isinstance(error, dict):
        for key in ("code", "status", "status_code"):
            named = error.get(key)
            if isinstance(named, str) and re.fullmatch(r"[45][0-9]{2}", named):
                named = int(named)
            if isinstance(named, int) and 400 <= named < 600:
                return named
    return status


def _words(error: object, depth: int) -> str:
    """Return the first message in an error object."""
    if isinstance(error, str):
        return error
    if isinstance(error, list) and error and depth:
        return _words(error[0], depth - 1)
    if isinstance(error, dict) and depth:
        found = (_words(error[key], depth - 1) for key in _WORD_KEYS if error.get(key))
        return next((words for words in found if words), "")
    return ""


def _codes(value: object, depth: int) -> Iterator[Any]:
    """Yield what stands under the keys of codes, down through objects, lists and quoted JSON."""
    if not depth:
        return
    if isinstance(value, str) and value.lstrip()[:1] == "{":
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return
    if isinstance(value, list):
        for item in value[:100]:
            yield from _codes(item, depth - 1)
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        if key in _CODE_KEYS:
            yield from item[:100] if isinstance(item, list) else [item]
        if key in _TRUE_KEYS and item:
            yield "flagged"
        if key.startswith("content_filter_result") and is_filtered_result(item):
            yield "content_filter"
        yield from _codes(item, depth - 1)
