"""Measures of a text that tell looping, echoing and gibberish from prose, as exact counts.

All are ratios of counted words or characters, so they are the same on every machine. A word is a
run of letters or digits (apostrophes and hyphens inside it kept), lower-cased.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
# white space after the end of a sentence, or newlines; the mark goes with it, being in no word
_SENTENCE_END = re.compile(r"[.!?\n](?:(?<=\n)|\s)\s*")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
# an apostrophe or hyphen that does not stand between two letters or digits
_LOOSE = re.compile(r"['\-](?:(?<![a-z0-9]['\-])|(?![a-z0-9]))")
_LETTERS = string.ascii_letters.encode()
_ALNUM = _LETTERS + string.digits.encode()
_BLANK = bytes(code for code in range(128) if chr(code).isspace())
_WORDS = bytes(ord(chr(code).lower()) if code in _ALNUM + b"'-\n" else 32 for code in range(256))
# "c" for a consonant, a space for a space, a dot for everything else
_SHAPES = bytes(
    {"c": 99, " ": 32}.get("c" if chr(code) in "bcdfghjklmnpqrstvwxz" else chr(code), 46)
    for code in range(256)
)
_ODD = re.compile(b" cccc+(?= )")
_LONGEST_WORD = 24
LONGEST_GAP = 64
_GAP = re.compile(rf"\s{{{LONGEST_GAP + 1},}}")
_SHINGLE = 4
_ECHO = 5
_IN_PROMPT = re.compile(b"\x01{%d,}" % _ECHO)
_LONGEST_PERIOD = 150
_LONGEST_CHARACTERS = 40


def words_of(text: str) -> list[str]:
    """Return the words of a text, lower-cased, in order."""
    plain = _plain(text)
    if plain is not None:
        return plain.split()
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


def _plain(text: str) -> str | None:
    """Return the words of a text with white space between them, None where some are not ASCII.

    The fast way to the same words: bytes are translated at once. Newlines stay newlines.
    """
    if not text.isascii() and any(map(str.isalnum, set(_NOT_ASCII.findall(text)))):
        return None
    plain = text.replace("’", "'").encode("latin-1", "replace").translate(_WORDS).decode("ascii")
    return _LOOSE.sub(" ", plain) if "-" in plain or "'" in plain else plain


def shingles(words: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    """Yield every run of ``size`` words, in order."""
    return zip(*(words[start:] for start in range(size)), strict=False)


def _tail(items: Sequence[str], longest: int, times: int, least: int = 0) -> int:
    """Return how much of a sequence, from its end, is one run over and over.

    By the Z-function of the reversed sequence (Gusfield 1997, Algorithms on Strings, Trees and
    Sequences, chapter 1), so that the work grows with the length, whatever the sequence.

    Args:
        items: words, or the characters of a text.
        longest: length of the longest run that is looked for.
        times: how often it must come.
        least: how much it must cover.

    Returns:
        The longest such tail; 0 where there is none.
    """
    back = items[::-1]
    size = len(back)
    longest = min(longest, size // times)
    # back[:reach[shift]] stands again at shift; a window [left, right) is known to be equal
    reach = [0] * (longest + 1)
    best = left = right = 0
    for shift in range(1, longest + 1):
        if shift >= right and back[shift] != back[0]:
            continue
        same = min(reach[shift - left], right - shift) if shift < right else 0
        while shift + same < size and back[same] == back[shift + same]:
            same += 1
        reach[shift] = same
        if shift + same > right:
            left, right = shift, shift + same
        if same + shift >= max(times * shift, least):
            best = max(best, same + shift)
    return best


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
        parts = _SENTENCE_END.split(self.response)
        plain = _plain("\n".join(parts))
        lists = map(words_of, parts) if plain is None else map(str.split, plain.split("\n"))
        return [" ".join(words) for words in lists if words]

    def words(self) -> float:
        """Number of words."""
        return len(self._words)

    def repeated_share(self) -> float:
        """Share of four-word runs that occurred before in the text."""
        number = len(self._words) - _SHINGLE + 1
        distinct = len(set(shingles(self._words, _SHINGLE)))
        return 1.0 - _share(distinct, number) if number > 0 else 0.0

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
        return _share(_tail(self._words, _LONGEST_PERIOD, 3), len(self._words))

    def character_loop(self) -> float:
        """Share of the text, from its end, that is one run of up to 40 characters over and over.

        It finds what words cannot: loops in scripts without spaces, or of symbols. The run must
        come at least five times and cover at least 20 characters.
        """
        text = self.response.strip()
        return _share(_tail(text, _LONGEST_CHARACTERS, 5, 20), len(text))

    def distinct_share(self) -> float:
        """Distinct words among the first 200, as a share."""
        head = self._words[:200]
        return _share(len(set(head)), len(head))

    def echo_share(self) -> float:
        """Share of the response's five-word runs that stand in the prompt."""
        words = self._words
        asked = words_of(self.prompt)
        # only where five words in a row are the prompt's can a run be
        own = bytes(map(set(asked).__contains__, words))
        places = [match.span() for match in _IN_PROMPT.finditer(own)]
        known = set(shingles(asked, _ECHO)) if places else set()
        echoed = sum(
            run in known for start, end in places for run in shingles(words[start:end], _ECHO)
        )
        return _share(echoed, max(0, len(words) - _ECHO + 1))

    def common_share(self) -> float:
        """Share of words that are function words of the language."""
        common = sum(map(self.common_words.__contains__, self._words))
        return _share(common, len(self._words))

    def unpronounceable_share(self) -> float:
        """Share of purely alphabetic words without a vowel or longer than 24 letters."""
        words = self._words
        shapes = f" {' '.join(words)} ".encode("latin-1", "replace").translate(_SHAPES)
        odd = sum(len(found) - 1 <= _LONGEST_WORD for found in _ODD.findall(shapes))
        if max(map(len, words), default=0) > _LONGEST_WORD:
            odd += sum(len(word) > _LONGEST_WORD and word.isalpha() for word in words)
        return _share(odd, len(words))

    @cached_property
    def _letters(self) -> tuple[bytes, list[str]]:
        """The response's ASCII characters, and the others."""
        text = self.response
        return text.encode("ascii", "ignore"), [] if text.isascii() else _NOT_ASCII.findall(text)

    def symbol_share(self) -> float:
        """Share of visible characters that are neither letters nor digits."""
        plain, others = self._letters
        other = [char for char in others if not char.isspace()]
        visible = len(plain.translate(None, _BLANK)) + len(other)
        symbols = len(plain.translate(None, _BLANK + _ALNUM))
        return _share(symbols + sum(not char.isalnum() for char in other), visible)

    def foreign_share(self) -> float:
        """Share of letters outside the Latin scripts."""
        plain, others = self._letters
        letters = [char for char in others if char.isalpha()]
        number = len(plain) - len(plain.translate(None, _LETTERS)) + len(letters)
        return _share(sum(char > "ɏ" for char in letters), number)

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
