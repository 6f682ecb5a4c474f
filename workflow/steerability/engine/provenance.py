"""Which characters of a rendered template come from the messages.

A conversation is rendered as it is, and again with the characters of its contents replaced by
*shadows*: private-use characters, one for each character, that occur nowhere else. A template can
move them, cut them and put them together as it likes; each still says whence it came. Where the
rendering with shadows turned back into characters is the plain rendering, every shadow in it marks
a character of a message, and every other character is the template's own.

A template that looks at a message sees that a shadow is not what it stands for, and may then write
something else. So it is met halfway, in turn:

1. White space, which templates strip and split at, gets no shadow (but where a control token of
   the vocabulary is made of nothing else and stands in a message).
2. What the template looks for (``/no_think``, ``</think>``) and a message holds is looked for as
   shadows too: the texts that the template compares a content with, or changes it by, are renamed.
3. The punctuation of special tokens alone gets shadows, for a template that changes letters (upper
   case, quoting). It counts only if the template's own special tokens stay what they are with the
   letters in shadow.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from steerability.engine.errors import PromptError
from steerability.engine.rendering import Message, Rendered, render_all

_PRIVATE = (range(0xF0000, 0xFFFFE), range(0x100000, 0x10FFFE), range(0xE000, 0xF900))
_TRIES = 12

Hide = Callable[[str], str]


@dataclass(frozen=True)
class Traced:
    """A rendering and whence its characters come.

    Attributes:
        text: the plain rendering.
        shadows: the same with shadows in place of what comes from a message.
    """

    text: str
    shadows: str

    def foreign(self, start: int, end: int) -> bool:
        """Return whether a message has a part in these characters."""
        return self.text[start:end] != self.shadows[start:end]

    @property
    def tail(self) -> str:
        """What the template writes after the last character of a message."""
        end = len(self.text)
        while end and not self.foreign(end - 1, end):
            end -= 1
        return self.text[end:]

    def followed_by(self, ending: str) -> "Traced":
        """Return it with more of the template's own text behind."""
        return Traced(self.text + ending, self.shadows + ending)


def occurrences(text: str, words: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield ``(place, word)`` for every occurrence of a word, overlapping ones too.

    Args:
        text: any text.
        words: in any order; at each place the longer ones come first.
    """
    beginning: dict[str, list[str]] = {}
    for word in words:
        if word:
            beginning.setdefault(word[0], []).append(word)
    found = {letter: tuple(sorted(some, key=len, reverse=True)) for letter, some in
             beginning.items() if letter in text}  # fmt: skip
    if not found:
        return
    for match in re.finditer(f"[{re.escape(''.join(found))}]", text):
        place = match.start()
        some = found[match.group()]
        if text.startswith(some, place):
            yield from ((place, word) for word in some if text.startswith(word, place))


def trace(
    template: str,
    messages: Sequence[Message],
    told: Mapping[str, Any],
    words: Sequence[str],
    blank_words: Sequence[str] = (),
) -> Traced:
    """Render messages and find out which characters are theirs.

    Args:
        template: Jinja source.
        messages: mappings with ``role`` and ``content``; roles count as the template's.
        told: the template's other variables.
        words: texts of special tokens, which messages must not form.
        blank_words: those among them that are nothing but white space.

    Raises:
        PromptError: the template cannot be rendered, or does with the messages what cannot be
            told from special tokens of its own.
    """
    return _Tracer(template, messages, told, words).traced(blank_words)


class _Tracer:
    def __init__(
        self,
        template: str,
        messages: Sequence[Message],
        told: Mapping[str, Any],
        words: Sequence[str],
    ) -> None:
        self.template, self.messages, self.told, self.words = template, messages, told, words
        self.contents = [text for m in messages for name, text in m.items() if name != "role"]
        self.shadow = _shadows(self.contents, [template, *map(str, told.values())])
        self.back = {shadow: letter for letter, shadow in self.shadow.items()}
        solid = {letter: s for letter, s in self.shadow.items() if not chr(letter).isspace()}
        self.solid: Hide = lambda text: text.translate(solid)
        self.plain = ""

    def traced(self, blank_words: Sequence[str]) -> Traced:
        blank = any(word in text for word in blank_words for text in self.contents)
        hide: Hide = (lambda text: text.translate(self.shadow)) if blank else self.solid
        (plain, first), looked_for = self.renderings([str, hide])
        self.plain = plain.or_raise()
        found = (
            self.matching(first)
            or self.renamed(hide, looked_for)
            or (None if blank else self.by_punctuation(first))
        )
        if found is None:
            raise PromptError(
                "the chat template changes a message in a way that leaves open what is a special "
                "token",
                "name another template, or other texts",
            )
        return found

    def renderings(
        self, ways: Sequence[Hide], renamed: Mapping[str, str] | None = None
    ) -> tuple[list[Rendered], list[str]]:
        chats = [
            [
                {name: text if name == "role" else way(text) for name, text in m.items()}
                for m in self.messages
            ]
            for way in ways
        ]
        return render_all(self.template, chats, self.told, renamed)

    def matching(self, rendered: Rendered) -> Traced | None:
        if rendered.text is None or rendered.text.translate(self.back) != self.plain:
            return None
        return Traced(self.plain, rendered.text)

    def renamed(self, hide: Hide, looked_for: Sequence[str]) -> Traced | None:
        """Let the template look for shadows: of all that a message holds, then of each alone."""
        roles = {m["role"] for m in self.messages}
        held = [
            word
            for word in looked_for
            if word.strip() and word not in roles and any(word in c for c in self.contents)
        ]
        held.sort(key=len, reverse=True)
        sets = [held, *([word] for word in held[:_TRIES] if len(held) > 1)] if held else []
        for some in sets:
            (rendered,), _ = self.renderings([hide], {word: hide(word) for word in some})
            found = self.matching(rendered)
            if found is not None:
                return found
        return None

    def by_punctuation(self, solid: Rendered) -> Traced | None:
        """Shadow the punctuation of special tokens; the template's own must stay what they were."""
        if solid.text is None:
            return None
        signs = {sign for word in self.words for sign in word if not _wordlike(sign)}
        few = {letter: s for letter, s in self.shadow.items() if chr(letter) in signs}
        (rendered,), _ = self.renderings([lambda text: text.translate(few)])
        found = self.matching(rendered)
        if found is None:
            return None
        sure = Traced(solid.text.translate(self.back), solid.text)
        return found if self.own(found) == self.own(sure) else None

    def own(self, traced: Traced) -> list[str]:
        """Return the special tokens' texts that no message has a part in."""
        return [
            word
            for place, word in occurrences(traced.text, self.words)
            if not traced.foreign(place, place + len(word))
        ]


def _wordlike(sign: str) -> bool:
    return sign.isalnum() or sign.isspace()


def _shadows(contents: Sequence[str], others: Sequence[str]) -> dict[int, int]:
    """Return a private-use character for every character of the contents."""
    letters = sorted({ord(letter) for text in contents for letter in text})
    taken = {ord(letter) for text in others for letter in text} | set(letters)
    free = (code for some in _PRIVATE for code in some if code not in taken)
    made = dict(zip(letters, free, strict=False))
    if len(made) < len(letters):
        raise PromptError("the messages hold too many different characters")
    return made
