"""Chat messages to token ids, so that no message can forge a special token.

The template is rendered once, with the contents inside, so that it may trim them or look at
them. Before that, every occurrence of a special token's text inside a content gets an invisible
mark, and so does each end of a content. In the rendered text a special token's text without a
mark can only have come from the template: it becomes the token. What lies between is tokenised
as plain text after the marks are taken out, template text and content together, so that wherever
no content holds a special token's text, the ids are those of tokenising the whole rendering with
special tokens read (tested).

Special here are control tokens, and those added tokens that the template itself uses
(``</think>``, ``<tool_call>``). Other added tokens (runs of blanks and the like) are found in
any text, as usual.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NoReturn

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from steerability.engine.errors import PromptError
from steerability.engine.vocabulary import Vocabulary

Message = Mapping[str, str]
THINK_BEGIN = "<think>"
# an opened thought is followed by blanks at most, so the end of the prompt is enough to see it
_TAIL = 16


def _refuse(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _to_json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


@lru_cache(maxsize=16)
def _compiled(template: str) -> jinja2.Template:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    # no clock: a template that asks for today's date falls back on its own
    environment.globals["raise_exception"] = _refuse
    environment.filters["tojson"] = _to_json
    return environment.from_string(template)


def render(template: str, messages: Sequence[Message], vocabulary: Vocabulary) -> str:
    """Return the text a chat template makes of messages, with the assistant's turn opened.

    Args:
        template: Jinja source, rendered in a sandbox, as ``transformers`` does.
        messages: mappings with ``role`` and ``content``.
        vocabulary: gives the template its ``bos_token`` and ``eos_token``.

    Raises:
        PromptError: the template is broken or refuses the messages.
    """
    try:
        return _compiled(template).render(
            messages=[dict(message) for message in messages],
            add_generation_prompt=True,
            bos_token=vocabulary.text(vocabulary.bos),
            eos_token=vocabulary.text(vocabulary.eos),
            tools=None,
            documents=None,
        )
    except (jinja2.TemplateError, TypeError, ValueError, KeyError) as error:
        raise PromptError(f"the chat template cannot be rendered: {error}") from error


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
    added = {text: token for text, token in vocabulary.user_defined.items() if text in template}
    # a token of one character cannot be marked; it stays plain text
    special = {t: i for t, i in {**vocabulary.control, **added}.items() if len(t) > 1}
    joint, split = _marks([template, *(text for m in messages for text in m.values())])
    marked = [
        {**message, "content": _mark(message["content"], special, added, joint, split)}
        for message in messages
    ]
    rendered = render(template, marked, vocabulary)
    tokens: list[int] = []
    for part in _partition(rendered, special, vocabulary):
        if isinstance(part, int):
            tokens.append(part)
            continue
        for text in part.replace(joint, "").split(split):
            if text:
                tokens += vocabulary.tokenize(text)
    return tuple(tokens)


def plain_tokens(vocabulary: Vocabulary, text: str) -> tuple[int, ...]:
    """Return the token ids of a plain prompt, with the vocabulary's first token if it asks so."""
    return tuple(vocabulary.tokenize(text, bos=vocabulary.adds_bos))


def opens_thought(prompt: tuple[int, ...], vocabulary: Vocabulary) -> bool:
    """Return whether a prompt ends in ``<think>`` with nothing but blanks behind it."""
    tail = prompt[-_TAIL:]
    begin = vocabulary.token(THINK_BEGIN)
    if begin is not None and begin in tail:
        place = len(tail) - 1 - tail[::-1].index(begin)
        after = tail[place + 1 :]
        if all(vocabulary.piece(token) for token in after):
            return not vocabulary.detokenize(after).strip()
        return False
    return vocabulary.detokenize(tail).rstrip().endswith(THINK_BEGIN)


def _marks(texts: Iterable[str]) -> tuple[str, str]:
    used = set("".join(texts))
    free = [chr(code) for code in range(0xE000, 0xF8FF) if chr(code) not in used]
    if len(free) < 2:
        raise PromptError("the messages use the whole private-use area of Unicode")
    return free[0], free[1]


def _mark(
    content: str, special: Mapping[str, int], added: Mapping[str, int], joint: str, split: str
) -> str:
    for text in special:
        if text in content:
            # the tokeniser itself finds added tokens in plain text: those are cut in two
            mark = split if text in added else joint
            content = content.replace(text, f"{text[0]}{mark}{text[1:]}")
    bare = content.strip()
    if not bare:
        return content
    return content.replace(bare, f"{joint}{bare}{joint}", 1)


def _partition(text: str, special: Mapping[str, int], vocabulary: Vocabulary) -> list[str | int]:
    """Cut a text at special tokens, the longest first, as llama.cpp does."""
    parts: list[str | int] = [text]
    for word in sorted((word for word in special if word in text), key=len, reverse=True):
        token = special[word]
        left, right = vocabulary.strips(token)
        cut: list[str | int] = []
        for part in parts:
            if isinstance(part, int):
                cut.append(part)
                continue
            pieces = part.split(word)
            for number, piece in enumerate(pieces):
                if number:
                    cut.append(token)
                    piece = piece.lstrip() if right else piece
                cut.append(piece.rstrip() if left and number < len(pieces) - 1 else piece)
        parts = cut
    return parts
