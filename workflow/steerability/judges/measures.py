"""Measures of a text that tell looping, echoing and gibberish from prose, as exact counts.

All are ratios of counted words or characters, so they are the same on every machine. A word is a
run of letters or digits (apostrophes and hyphens inside it kept), lower-cased.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
LONGEST_GAP = 64
_GAP = re.compile(rf"\s{{{LONGEST_GAP + 1},}}")
_VOWELS = frozenset("aeiouy")
_SHINGLE = 4
_LONGEST_PERIOD = 150


def words_of(text: str) -> list[str]:
    """Return the words of a text, lower-cased, in order."""
    return [word.lower().replace("’", "'") for word in _WORD.findall(text)]


def with_short_gaps(text: str) -> str:
    r"""Return a text whose runs of white space are at most ``LONGEST_GAP`` and one long.

    A pattern such as ``^\s*user`` looks through a run once from each line's start in it, so its
    time grows with the square of the run. A run is cut in its middle and keeps both its ends and,
    where one stood in between, a line's end: what begins a line before begins one after.
    """
    return _GAP.sub(_cut, text)


def _cut(gap: re.Match[str]) -> str:
    run = gap[0]
    half = LONGEST_GAP // 2
    middle = run[half:-half]
    between = "\n" if "\n" in middle else middle[0]
    return f"{run[:half]}{between}{run[-half:]}"


def shingles(words: Sequence[str], size: int) -> list[tuple[str, ...]]:
    """Return every run of ``size`` words, in order."""
    return [tuple(words[start : start + size]) for start in range(len(words) - size + 1)]


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


@dataclass(frozen=True)
class Measured:
    """The measures of one response.

    Attributes:
        response: the text.
        prompt: the text it answers, for the echo measures.
        common_words: function words of the language, for ``common_share``.
        role_marks: patterns that mark a turn of a dialogue or a template's tag.
    """

    response: str
    prompt: str
    common_words: Collection[str] = ()
    role_marks: Sequence[re.Pattern[str]] = ()

    @cached_property
    def _values(self) -> dict[str, float]:
        return {}

    def value(self, name: str) -> float:
        """Return a measure by its name, computed once."""
        if name not in self._values:
            self._values[name] = MEASURES[name](self)
        return self._values[name]

    @cached_property
    def _words(self) -> list[str]:
        return words_of(self.response)

    @cached_property
    def _sentences(self) -> list[str]:
        parts = (" ".join(words_of(part)) for part in _SENTENCE_END.split(self.response))
        return [part for part in parts if part]

    def words(self) -> float:
        """Number of words."""
        return len(self._words)

    def repeated_share(self) -> float:
        """Share of four-word runs that occurred before in the text."""
        runs = shingles(self._words, _SHINGLE)
        return 1.0 - _share(len(set(runs)), len(runs)) if runs else 0.0

    def sentence_repeats(self) -> float:
        """Most times that one sentence or line of at least three words occurs."""
        counts = Counter(part for part in self._sentences if part.count(" ") >= 2)
        return max(counts.values(), default=0)

    def repeated_sentence_share(self) -> float:
        """Share of sentences and lines that occurred before in the text."""
        return 1.0 - _share(len(set(self._sentences)), len(self._sentences) or 1)

    def tail_loop(self) -> float:
        """Share of the text, from its end, that is one run of words over and over.

        The run may be 1 to 150 words long and must come at least three times (once more, cut
        off, is allowed); the longest such tail counts.
        """
        words = self._words
        best = 0
        for period in range(1, min(_LONGEST_PERIOD, len(words) // 3) + 1):
            place = len(words) - 1
            while place >= period and words[place] == words[place - period]:
                place -= 1
            covered = len(words) - 1 - place + period
            if covered >= 3 * period:
                best = max(best, covered)
        return _share(best, len(words))

    def character_loop(self) -> float:
        """Share of the text, from its end, that is one run of up to 40 characters over and over.

        It finds what words cannot: loops in scripts without spaces, or of symbols. The run must
        come at least five times and cover at least 20 characters.
        """
        text = self.response.strip()
        best = 0
        for period in range(1, min(40, len(text) // 5) + 1):
            place = len(text) - 1
            while place >= period and text[place] == text[place - period]:
                place -= 1
            covered = len(text) - 1 - place + period
            if covered >= max(5 * period, 20):
                best = max(best, covered)
        return _share(best, len(text))

    def distinct_share(self) -> float:
        """Distinct words among the first 200, as a share."""
        head = self._words[:200]
        return _share(len(set(head)), len(head))

    def echo_share(self) -> float:
        """Share of the response's five-word runs that stand in the prompt."""
        runs = shingles(self._words, 5)
        known = set(shingles(words_of(self.prompt), 5))
        return _share(sum(run in known for run in runs), len(runs))

    def common_share(self) -> float:
        """Share of words that are function words of the language."""
        return _share(sum(word in self.common_words for word in self._words), len(self._words))

    def unpronounceable_share(self) -> float:
        """Share of purely alphabetic words without a vowel or longer than 24 letters."""
        odd = [
            word
            for word in self._words
            if word.isalpha()
            and ((len(word) > 3 and not _VOWELS & set(word) and word.isascii()) or len(word) > 24)
        ]
        return _share(len(odd), len(self._words))

    def symbol_share(self) -> float:
        """Share of visible characters that are neither letters nor digits."""
        visible = [char for char in self.response if not char.isspace()]
        return _share(sum(not char.isalnum() for char in visible), len(visible))

    def foreign_share(self) -> float:
        """Share of letters outside the Latin scripts."""
        letters = [char for char in self.response if char.isalpha()]
        return _share(sum(char > "ɏ" for char in letters), len(letters))

    def role_marks_per_100_words(self) -> float:
        """Marks of a dialogue's turns or a template's tags, per 100 words."""
        text = with_short_gaps(self.response)
        marks = sum(len(mark.findall(text)) for mark in self.role_marks)
        return 100.0 * marks / max(len(self._words), 1)


MEASURES: dict[str, Callable[[Measured], float]] = {
    name: getattr(Measured, name)
    for name in (
        "words",
        "repeated_share",
        "sentence_repeats",
        "repeated_sentence_share",
        "tail_loop",
        "character_loop",
        "distinct_share",
        "echo_share",
        "common_share",
        "unpronounceable_share",
        "symbol_share",
        "foreign_share",
        "role_marks_per_100_words",
    )
}
