"""What a chat template says of turns: the token that ends one, and a thought that it opens."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from steerability.engine.errors import PromptError
from steerability.engine.prompts import traced_chat
from steerability.engine.provenance import Traced, occurrences
from steerability.engine.rendering import Message, render_all, variables
from steerability.engine.vocabulary import Vocabulary

# stand for an answer and a thought; no template looks for them
_ANSWER, _THOUGHT = "\U0010fff0", "\U0010fff1"
_OPENED = re.compile(
    r"(?P<open>[<\[]\|?)(?!/|end)(?P<name>[^<>\[\]|/\s]*(?:think|thought|reason)[^<>\[\]|/\s]*)"
    r"(?P<shut>\|?[>\]])(?P<blanks>\s*)$",
    re.IGNORECASE,
)
_NO_THOUGHT = {"enable_thinking": False, "thinking": False}


def turn_end(vocabulary: Vocabulary, template: str) -> int | None:
    """Return the special token that a template puts after an assistant's words.

    Read off a rendering: where the last message is an assistant's, or else where a user's
    follows. The vocabulary's own end token where it is among those that stand there.

    Args:
        vocabulary: the weights' vocabulary.
        template: Jinja source.

    Returns:
        A token id; None where no special token follows or the template takes no such message.

    Raises:
        PromptError: the template is no Jinja, or goes beyond its limits.
    """
    asked: Message = {"role": "user", "content": "a"}
    said: Message = {"role": "assistant", "content": _ANSWER}
    told = {**variables(vocabulary), "add_generation_prompt": False}
    texts, _ = render_all(template, [[asked, said], [asked, said, asked]], told)
    for rendered, whole in zip(texts, (True, False), strict=True):
        if rendered.text is None or _ANSWER not in rendered.text:
            continue
        following = _run(rendered.text.rpartition(_ANSWER)[2], vocabulary.special)
        ends = following if whole else following[:1]
        if ends:
            return vocabulary.eos if vocabulary.eos in ends else ends[0]
    return None


def _run(text: str, words: Mapping[str, int]) -> list[int]:
    """Return the special tokens that a text begins with, blanks between them left out."""
    tokens: list[int] = []
    behind = 0
    for place, word in occurrences(text, list(words)):
        if place < behind:
            continue
        if text[behind:place].strip():
            break
        tokens.append(words[word])
        behind = place + len(word)
    return tokens


@dataclass(frozen=True)
class Thought:
    """A thought that a rendering opens at its end, for the model to go on with.

    Attributes:
        opening: what opens it, as ``<think>``.
        ending: what the template writes between an empty one and the answer, where it says so.
    """

    opening: str
    ending: str | None


def opened_thought(
    vocabulary: Vocabulary,
    template: str,
    messages: Sequence[Message],
    opened: Traced,
    told: Mapping[str, Any] | None = None,
) -> Thought | None:
    """Return the thought that a rendering opens, or None.

    It ends with a mark that says so (``<think>``), or with what the template itself puts right in
    front of the thought of an assistant's message.

    Args:
        vocabulary: the weights' vocabulary.
        template: Jinja source.
        messages: the conversation.
        opened: its rendering.
        told: the variables it was rendered with, besides the usual ones.
    """
    ending = _written(template, messages, opened.text, {**variables(vocabulary), **(told or {})})
    found = _OPENED.search(opened.tail)
    if found is not None:
        return Thought(found.group().strip(), ending or _derived(vocabulary, template, found))
    if ending is None:
        return None
    return Thought(opened.tail.strip()[-40:], ending)


def thought_closed(
    vocabulary: Vocabulary, template: str, messages: Sequence[Message], opened: Traced
) -> Traced:
    """Return a rendering whose thought, where it opens one, is empty and closed.

    As the template itself writes an empty thought: where it is told not to think
    (``enable_thinking``), or around the thought of an assistant's message; else by the mark that
    belongs to the opening one, if the template or the vocabulary knows it.

    Args:
        vocabulary: the weights' vocabulary.
        template: Jinja source.
        messages: the conversation.
        opened: its rendering.

    Raises:
        PromptError: the template opens a thought and does not say how one ends.
    """
    thought = opened_thought(vocabulary, template, messages, opened)
    if thought is None:
        return opened
    try:
        silent = traced_chat(vocabulary, template, messages, _NO_THOUGHT)
        if opened_thought(vocabulary, template, messages, silent, _NO_THOUGHT) is None:
            return silent
    except PromptError:
        pass
    if thought.ending is None:
        raise PromptError(
            f"the chat template opens a thought ({thought.opening}) and does not say how it ends, "
            "so that an answer would be read as part of it",
            "name weights or a template that do not think",
        )
    return opened.followed_by(thought.ending)


def _written(
    template: str, messages: Sequence[Message], opened: str, told: Mapping[str, Any]
) -> str | None:
    """Return what the template writes between an empty thought of its own and the answer."""
    thought = dict.fromkeys(("reasoning_content", "reasoning", "thinking"), _THOUGHT)
    answer = {"role": "assistant", "content": _ANSWER, **thought}
    (rendered,), _ = render_all(
        template, [[*messages, answer]], {**told, "add_generation_prompt": False}
    )
    text = rendered.text or ""
    if not text.startswith(opened + _THOUGHT):
        return None
    between, answered, _ = text[len(opened) + len(_THOUGHT) :].partition(_ANSWER)
    return between if answered and between.strip() else None


def _derived(vocabulary: Vocabulary, template: str, found: re.Match[str]) -> str | None:
    """Return the closing mark that belongs to an opening one, with blanks as around that."""
    opening, name, shut = found["open"], found["name"], found["shut"]
    marks = [f"{opening}/{name}{shut}"]
    if "START" in name.upper():
        marks.append(f"{opening}{re.sub('START', 'END', name)}{shut}")
    for mark in marks:
        if mark in template or vocabulary.token(mark) is not None:
            return f"{found['blanks']}{mark}{found['blanks'] * 2}"
    return None
