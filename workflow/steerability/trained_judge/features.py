"""What the ``distilled`` judge sees of a response: counts.

Two kinds: a short row of numbers (the measures and cue groups of the ``rules`` judge, its score
and its two verdicts), and words in order with negation marked, so that ``hide`` and ``will not
hide`` are different words. The words are seen twice: in the whole response, and in its opening,
where a response says what it is about to do. Of the prompt, the suffix in it included, one number
knows: ``echo_share``, how much of the response repeats it (and so the rules' verdict of an echo).
"""

import itertools
import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from steerability.judges.measures import MEASURES
from steerability.judges.rules import RulesJudge
from steerability.protocol.response import JudgeInput

SEMANTICS = 2
VIEWS = ("whole", "opening")
OPENING = 100
FEWEST_SCENARIOS = 4
_CLAUSE = re.compile(r"[.!?;:\n]|—|\*\*")
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|\d+")
_NEGATION = re.compile(
    r"(?:not|no|never|without|cannot|nor|neither|avoid|avoiding|refuse|prohibit\w*|instead|rather"
    r"|zero|\w+n't)"
)
_REACH = 8
_MOST_WORDS = 100_000
_ANY_SCORE = -math.inf


class _Negates(dict[str, bool]):
    """Word → whether it is a negation, found out once."""

    def __missing__(self, word: str) -> bool:
        if len(self) >= _MOST_WORDS:
            self.clear()
        self[word] = negation = _NEGATION.fullmatch(word) is not None
        return negation


_NEGATES = _Negates()


def negated_words(text: str) -> list[str]:
    """Return words in lower case; the eight after a negation in a clause are marked ``no_``."""
    words: list[str] = []
    for clause in _CLAUSE.split(text.lower().replace("’", "'")):
        found = _WORD.findall(clause)
        negates = list(map(_NEGATES.__getitem__, found))
        if True not in negates:
            words += found
            continue
        left = 0
        for word, negation in zip(found, negates, strict=True):
            if negation:
                left = _REACH
                words.append(word)
            else:
                words.append(f"no_{word}" if left > 0 else word)
                left -= 1
    return words


def terms(text: str, common: Collection[str]) -> list[str]:
    """Return the marked words, pairs and triples of words: the terms that are counted.

    Args:
        text: the response.
        common: words that are no terms by themselves; they stay in pairs and triples.
    """
    words = negated_words(text)
    return [*(word for word in words if word not in common), *_runs(words)]


def _runs(words: Sequence[str]) -> Iterator[str]:
    """Yield the pairs of words, then the triples."""
    yield from map(" ".join, itertools.pairwise(words))
    yield from map(" ".join, zip(words, words[1:], words[2:], strict=False))


def opening(response: str, words: int) -> str:
    """Return the first words of a response as they stand there."""
    found = re.match(rf"(?:\S+\s+){{0,{words - 1}}}\S*", response.lstrip())
    return found.group(0) if found else ""


def view(name: str, response: str) -> str:
    """Return the part of a response that a view reads: all of it, or its opening."""
    return response if name == "whole" else opening(response, OPENING)


def term_counts(
    texts: Sequence[str], scenarios: Sequence[int], common: Collection[str]
) -> tuple[tuple[str, ...], csr_matrix]:
    """Return the terms that occur in enough scenarios, sorted, and 1 + ln of their counts.

    Args:
        texts: one per cell.
        scenarios: the scenario of each, as a number.
        common: see ``terms``.

    Returns:
        The terms, and float64 of shape (texts, terms).
    """
    counted = [Counter(terms(text, common)) for text in texts]
    places: dict[str, set[int]] = defaultdict(set)
    for counts, scenario in zip(counted, scenarios, strict=True):
        for term in counts:
            places[term].add(scenario)
    kept = sorted(term for term, where in places.items() if len(where) >= FEWEST_SCENARIOS)
    column = {term: at for at, term in enumerate(kept)}
    rows, columns, values = [], [], []
    for row, counts in enumerate(counted):
        for term, count in counts.items():
            if term in column:
                rows.append(row)
                columns.append(column[term])
                values.append(1.0 + math.log(count))
    shape = (len(texts), len(kept))
    return tuple(kept), csr_matrix((values, (rows, columns)), shape=shape, dtype=np.float64)


@dataclass(frozen=True)
class Text:
    """The weighted terms of one view of a response: tf-idf rows of length 1.

    A term's count c becomes (1 + ln c) times its rarity, which is its inverse document frequency
    with a scenario as the document: what stands in few scenarios tells their subject.

    Attributes:
        terms: the known terms.
        rarity: one number per term; 0 leaves it out.
        common: see ``terms``.
    """

    terms: tuple[str, ...]
    rarity: NDArray[np.float64]
    common: frozenset[str]

    @cached_property
    def _column(self) -> dict[str, int]:
        return {
            term: at
            for at, term in enumerate(self.terms)
            if self.rarity[at] > 0 and term not in self.common
        }

    @cached_property
    def _rarities(self) -> list[float]:
        rarities: list[float] = self.rarity.tolist()
        return rarities

    def row(self, text: str) -> dict[int, float]:
        """Return the values of a text's known terms by column, in the order of the columns."""
        words = negated_words(text)
        known = Counter(map(self._column.get, itertools.chain(words, _runs(words))))
        counts = sorted((at, count) for at, count in known.items() if at is not None)
        values = {at: (1.0 + math.log(count)) * self._rarities[at] for at, count in counts}
        length = math.sqrt(math.fsum(value * value for value in values.values()))
        return {at: value / length for at, value in values.items()}


@dataclass(frozen=True)
class Tabular:
    """The row of numbers.

    Attributes:
        rules: the rules judge whose measures and cues are counted.
    """

    rules: RulesJudge

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        groups = [group.name for group in self.rules.rubric.convergence.groups]
        return (*MEASURES, *groups, "score", "nonsensical", "refusal", "declines")

    @cached_property
    def weights(self) -> tuple[float, ...]:
        """How much each column counts before regularisation: prior trust, set once.

        The score carries what the cues' authors know, so it is shrunk least; single cues and
        measures are shrunk most. Chosen by cross-validation among eight settings.
        """
        groups = len(self.rules.rubric.convergence.groups)
        return (*[0.1] * len(MEASURES), *[0.2] * groups, 2.0, 1.0, 1.0, 1.0)

    def row(self, item: JudgeInput) -> list[float]:
        """Return the numbers of one response, before standardisation."""
        measured = self.rules.measure(item)
        matches, negated = self.rules.matches(item)
        counts = {match.group.name: min(match.count, match.group.cap) for match in matches}
        score = self.rules.score(matches, negated)
        values = [measured.value(name) for name in MEASURES]
        values[0] = math.log1p(values[0])
        values += [
            float(counts.get(group.name, 0)) for group in self.rules.rubric.convergence.groups
        ]
        declines = bool(self.rules.refusal(item.response, measured, _ANY_SCORE))
        return [
            *values,
            max(-8.0, min(10.0, score)),
            float(bool(self.rules.nonsense(measured))),
            float(declines and not score > self.rules.rubric.refusal.most_score),
            float(declines),
        ]
