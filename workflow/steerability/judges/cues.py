r"""Finding many cues in a text at once: the matches that each pattern's ``finditer`` gives.

Nearly every cue begins with ``\b`` and one of a few stems, so it can only match where a word
begins with one of them. The text is split into words once, each word is looked up, and a pattern
is tried there alone. A pattern of another form is searched for as it stands, and so is every
pattern in a text with one of the four characters that case folding takes for ASCII letters.

"Words" are runs of ASCII letters, digits and underscores here. A word may begin in the middle of
one of Python's (behind a letter of another alphabet); the pattern's ``\b`` then refuses the place.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import accumulate, compress, count
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

Match = re.Match[str]
Pattern = re.Pattern[str]

# one byte a character: ASCII words in lower case, a space for everything else
_WORDS = bytes(
    ord(chr(code).lower()) if code < 128 and re.match(r"\w", chr(code)) else 32
    for code in range(256)
)
_FOLDED = re.compile("[\u0130\u0131\u017f\u212a]")
_MOST_STEMS = 1000
_MOST_WORDS = 100_000
_ZERO_WIDTH = (op.AT, op.ASSERT, op.ASSERT_NOT)
_END = " "


class _Stems:
    """Beginnings of the words that a part of a pattern can match.

    Attributes:
        going: beginnings that the next part goes on with.
        ended: beginnings that may be followed by anything, or by the word's end, a space.
    """

    def __init__(self, going: Iterable[str] = (), ended: Iterable[str] = ()) -> None:
        self.going, self.ended = set(going), set(ended)

    def then(self, other: "_Stems") -> "_Stems":
        """Return the beginnings of this part followed by another."""
        if len(self.going) * (len(other.going) + len(other.ended)) > _MOST_STEMS:
            return self.cut()
        going = {first + second for first in self.going for second in other.going}
        ended = {first + second for first in self.going for second in other.ended}
        return _Stems(going, self.ended | ended)

    def or_else(self, other: "_Stems") -> "_Stems":
        """Return the beginnings of either part."""
        return _Stems(self.going | other.going, self.ended | other.ended)

    def ending(self) -> "_Stems":
        """Return the beginnings where a word begins or ends here: behind a letter, it ends."""
        ended = {stem + _END for stem in self.going if stem}
        return _Stems(self.going & {""}, self.ended | ended)

    def cut(self) -> "_Stems":
        """Return the beginnings without what could go on from them."""
        return _Stems(ended=self.going | self.ended)


_ANYTHING = _Stems(ended=[""])
_NOTHING = _Stems(going=[""])


@cache
def stems_of(pattern: Pattern) -> frozenset[str] | None:
    """Return how words begin, in lower case, at which a pattern can match.

    Args:
        pattern: compiled to ignore case.

    Returns:
        The beginnings, of ASCII letters and digits, with a space behind them where the word must
        end; None where the pattern does not begin at a word's beginning, or anything may stand
        there.
    """
    if pattern.flags & (re.ASCII | re.LOCALE) or not pattern.flags & re.IGNORECASE:
        return None
    parts = list(parser.parse(pattern.pattern, pattern.flags))
    if not parts or parts[0] != (op.AT, op.AT_BOUNDARY):
        return None
    found = _sequence(parts[1:]).cut().ended
    return None if {"", _END} & found else frozenset(found)


def _sequence(parts: Iterable[tuple[Any, Any]]) -> _Stems:
    whole = _NOTHING
    for part in parts:
        whole = whole.ending() if part == (op.AT, op.AT_BOUNDARY) else whole.then(_part(*part))
        if not whole.going:
            break
    return whole


def _part(kind: Any, value: Any) -> _Stems:
    if kind in _ZERO_WIDTH:
        return _NOTHING
    if kind is op.LITERAL:
        return _letters([value])
    if kind is op.IN and all(one is op.LITERAL for one, _ in value):
        return _letters([code for _, code in value])
    if kind is op.SUBPATTERN and not value[1] and not value[2]:
        return _sequence(value[3])
    if kind is op.BRANCH:
        whole = _Stems()
        for branch in value[1]:
            whole = whole.or_else(_sequence(branch))
        return whole
    if kind in (op.MAX_REPEAT, op.MIN_REPEAT):
        least, most, inner = value
        once = _sequence(inner)
        once = once if most == 1 else once.cut()
        return once.or_else(_NOTHING) if least == 0 else once
    return _ANYTHING


def _letters(codes: Iterable[int]) -> _Stems:
    found = _Stems()
    for letter in map(chr, codes):
        if letter.isascii() and letter.isalnum():
            found = found.or_else(_Stems(going=[letter.lower()]))
        else:
            ends = letter.isascii() and letter != "_"
            found = found.or_else(_Stems(ended=[_END if ends else ""]))
    return found


class _Index(dict[str, tuple[int, ...]]):
    """Word in lower case → places of the patterns that may match where it begins."""

    def __init__(self, stems: Iterable[tuple[int, Iterable[str]]]) -> None:
        super().__init__()
        self._places: dict[str, list[int]] = {}
        for place, of_pattern in stems:
            for stem in of_pattern:
                self._places.setdefault(stem, []).append(place)
        self._longest = max(map(len, self._places), default=0)

    def __missing__(self, word: str) -> tuple[int, ...]:
        whole = word + _END
        heads = (whole[:length] for length in range(1, min(len(whole), self._longest) + 1))
        found = {place for head in heads for place in self._places.get(head, ())}
        if len(self) >= _MOST_WORDS:
            self.clear()
        self[word] = places = tuple(sorted(found))
        return places


class Cues:
    """Patterns to be found together.

    Args:
        patterns: compiled to ignore case.
    """

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self.patterns = tuple(patterns)
        stems = [stems_of(pattern) for pattern in self.patterns]
        known = [(place, found) for place, found in enumerate(stems) if found is not None]
        self._index = _Index(known)
        self._other = [place for place, found in enumerate(stems) if found is None]
        self._match = [pattern.match for pattern in self.patterns]

    def find(self, text: str) -> list[list[Match]]:
        """Return the matches of each pattern, as its ``finditer`` gives them."""
        if not text.isascii() and _FOLDED.search(text):
            return [list(pattern.finditer(text)) for pattern in self.patterns]
        found: list[list[Match]] = [[] for _ in self.patterns]
        for place in self._other:
            found[place] = list(self.patterns[place].finditer(text))
        ends = [0] * len(found)
        for letters, spaces, places in self._candidates(text):
            start = letters + spaces
            for place in places:
                if start >= ends[place] and (match := self._match[place](text, start)):
                    found[place].append(match)
                    ends[place] = match.end()
        return found

    def occurs(self, text: str) -> bool:
        """Say whether any pattern matches anywhere in a text."""
        if not text.isascii() and _FOLDED.search(text):
            return any(pattern.search(text) for pattern in self.patterns)
        return any(
            self._match[place](text, letters + spaces)
            for letters, spaces, places in self._candidates(text)
            for place in places
        ) or any(self.patterns[place].search(text) for place in self._other)

    def _candidates(self, text: str) -> list[tuple[int, int, tuple[int, ...]]]:
        """Return where a word begins at which patterns may match, and which.

        The first two numbers of each add up to the place: characters of the words before it, and
        the number of the spaces before it.
        """
        plain = text.encode("latin-1", "replace").translate(_WORDS).decode("ascii")
        words = plain.split(" ")
        places = list(map(self._index.__getitem__, words))
        lengths = accumulate(map(len, words), initial=0)
        return list(compress(zip(lengths, count(), places, strict=False), places))
