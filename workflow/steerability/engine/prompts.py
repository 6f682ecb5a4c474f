"""Chat messages to token ids: those of the rendered template, and no message forges a token.

The ids are those of the template's rendering tokenised whole, with the texts of special tokens
read as tokens. Where such a text comes from a message, or in part (``provenance``), it is no
token: the rendering is then cut at the template's own special tokens alone, as llama.cpp cuts it,
and what lies between is tokenised as plain text, template and message together.

Special here are control tokens, and those added tokens that the template itself writes and that
look like marks (``</think>``, ``[INST]``). Other added tokens (runs of blanks, line ends, words,
tags that the template does not know) are found in any text, as usual.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from steerability.engine.errors import PromptError
from steerability.engine.provenance import Traced, occurrences, trace
from steerability.engine.rendering import Message, RefusedError, variables
from steerability.engine.vocabulary import Vocabulary

# llama.cpp's own notion of white space around a token (isspace in the C locale)
_BLANKS = " \t\n\v\f\r"


def folded(messages: Sequence[Message]) -> list[Message]:
    """Return messages with the system message in front of the first user message's text."""
    system = [m["content"] for m in messages if m["role"] == "system"]
    rest = [dict(m) for m in messages if m["role"] != "system"]
    for message in rest:
        if message["role"] == "user":
            message["content"] = "\n\n".join([*system, message["content"]])
            return list(rest)
    return list(messages)


def traced_chat(
    vocabulary: Vocabulary,
    template: str,
    messages: Sequence[Message],
    told: Mapping[str, Any] | None = None,
) -> Traced:
    """Render messages and find out which characters are theirs.

    Args:
        vocabulary: the weights' vocabulary.
        template: Jinja source.
        messages: mappings with ``role`` and ``content``.
        told: variables of the template besides the usual ones.

    Raises:
        PromptError: the template cannot be rendered; where it refuses a system message, it says
            how the message can be put in the user's.
    """
    variety = {**variables(vocabulary), **(told or {})}
    blank = [word for word in vocabulary.control if not word.strip()]
    words = list(vocabulary.special)
    try:
        return trace(template, messages, variety, words, blank)
    except RefusedError as error:
        if _takes_folded(template, messages, variety, words):
            raise PromptError(
                f"the chat template refuses the system message: {error.what}",
                "set fold_system to put it in front of the user's message",
            ) from error
        raise


def chat_tokens(
    vocabulary: Vocabulary, template: str, messages: Sequence[Message]
) -> tuple[int, ...]:
    """Return the token ids of messages in a chat template; contents stay plain text.

    Args:
        vocabulary: the weights' vocabulary.
        template: Jinja source.
        messages: mappings with ``role`` and ``content``.

    Raises:
        PromptError: the template cannot be rendered.
    """
    return traced_tokens(vocabulary, template, traced_chat(vocabulary, template, messages))


def traced_tokens(vocabulary: Vocabulary, template: str, traced: Traced) -> tuple[int, ...]:
    """Return the token ids of a rendering.

    Args:
        vocabulary: the weights' vocabulary.
        template: Jinja source, which says what added tokens are the template's.
        traced: the rendering.

    Raises:
        PromptError: no way is found to keep a message from forming a special token.
    """
    control, marks = vocabulary.control, vocabulary.marks
    found = list(occurrences(traced.text, list(vocabulary.special)))
    own = {word for place, word in found if not traced.foreign(place, place + len(word))}
    special = {**control, **{w: i for w, i in marks.items() if w in own or w in template}}
    forged = [
        (place, word)
        for place, word in found
        if word in special and traced.foreign(place, place + len(word))
    ]
    if not forged:
        return tuple(vocabulary.tokenize(traced.text, special=True))
    return _without(vocabulary, traced, special, {word for _, word in forged})


def plain_tokens(vocabulary: Vocabulary, text: str) -> tuple[int, ...]:
    """Return the token ids of a plain prompt, with the vocabulary's first token if it asks so.

    Never with its last: a prompt goes on.
    """
    first = [vocabulary.bos] if vocabulary.adds_bos else []
    return (*first, *vocabulary.tokenize(text))


def _takes_folded(
    template: str, messages: Sequence[Message], told: Mapping[str, Any], words: Sequence[str]
) -> bool:
    if all(message["role"] != "system" for message in messages):
        return False
    try:
        trace(template, folded(messages), told, words)
    except PromptError:
        return False
    return True


def _without(
    vocabulary: Vocabulary, traced: Traced, special: Mapping[str, int], forged: set[str]
) -> tuple[int, ...]:
    """Tokenise a rendering in which messages spell special tokens."""
    parts = _partition(traced, special, vocabulary)
    guarded = set(special.values()) - vocabulary.unknown
    wanted = [part for part in parts if isinstance(part, int) and part in guarded]
    # the tokeniser itself finds added tokens in plain text: those are cut in two; some
    # vocabularies also put control tokens together from their letters
    added = {word for word in forged if word not in vocabulary.control}
    for cut in (added, forged):
        tokens: list[int] = []
        for part in parts:
            tokens += [part] if isinstance(part, int) else _raw(vocabulary, part, cut)
        if [token for token in tokens if token in guarded] == wanted:
            return tuple(tokens)
    raise PromptError(
        "the messages spell special tokens that this vocabulary cannot take as text",
        "leave them out of the texts",
    )


def _raw(vocabulary: Vocabulary, text: str, cut: set[str]) -> list[int]:
    """Tokenise plain text, some words cut behind their first letter."""
    places = sorted({place + 1 for place, _ in occurrences(text, list(cut))})
    tokens: list[int] = []
    for start, end in zip([0, *places], [*places, len(text)], strict=True):
        piece = text[start:end]
        if piece:
            tokens += vocabulary.tokenize_on(piece) if start else vocabulary.tokenize(piece)
    return tokens


def _partition(
    traced: Traced, special: Mapping[str, int], vocabulary: Vocabulary
) -> list[str | int]:
    """Cut a rendering at the special tokens that are its own, the longest first, as llama.cpp does.

    Added tokens that are not special are cut out of any text, as there.
    """
    everywhere = {w: i for w, i in vocabulary.user_defined.items() if w not in special}
    words = {**everywhere, **special}
    present = [word for word in words if word in traced.text]
    spans: list[tuple[int, int] | int] = [(0, len(traced.text))]
    for word in sorted(present, key=lambda word: len(word.encode()), reverse=True):
        cut: list[tuple[int, int] | int] = []
        for span in spans:
            if isinstance(span, int):
                cut.append(span)
            else:
                cut += _cut(traced, span, word, words[word], vocabulary, anyone=word in everywhere)
        spans = cut
    return [span if isinstance(span, int) else traced.text[slice(*span)] for span in spans]


def _cut(
    traced: Traced,
    span: tuple[int, int],
    word: str,
    token: int,
    vocabulary: Vocabulary,
    *,
    anyone: bool,
) -> list[tuple[int, int] | int]:
    left, right = vocabulary.strips(token)
    text, (start, end) = traced.text, span
    cut: list[tuple[int, int] | int] = []
    search = start
    while (place := text.find(word, search, end)) >= 0:
        behind = place + len(word)
        if not anyone and traced.foreign(place, behind):
            search = place + 1
            continue
        before = place
        while left and before > start and text[before - 1] in _BLANKS:
            before -= 1
        if before > start:
            cut.append((start, before))
        cut.append(token)
        while right and behind < end and text[behind] in _BLANKS:
            behind += 1
        start = search = behind
    if start < end:
        cut.append((start, end))
    return cut
