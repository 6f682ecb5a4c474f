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
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from steerability.judges.measures import MEASURES
from steerability.judges.rules import RulesJudge
from steerability.protocol.records import JudgeInput

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
_ANY_SCORE = -math.inf


def negated_words(text: str) -> list[str]:
    """Return words in lower case; the eight after a negation in a clause are marked ``no_``."""
    words = []
    for clause in _CLAUSE.split(text.lower().replace("’", "'")):
        left = 0
        for word in _WORD.findall(clause):
            if _NEGATION.fullmatch(word):
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
    pairs = itertools.pairwise(words)
    triples = zip(words, words[1:], words[2:], strict=False)
    return [
        *(word for word in words if word not in common),
        *map(" ".join, pairs),
        *map(" ".join, triples),
    ]


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
        return {term: at for at, term in enumerate(self.terms) if self.rarity[at] > 0}

    def row(self, text: str) -> dict[int, float]:
        """Return the values of a text's known terms by column, in the order of the columns."""
        column = self._column
        known = Counter(column[term] for term in terms(text, self.common) if term in column)
        values = {at: (1.0 + math.log(known[at])) * float(self.rarity[at]) for at in sorted(known)}
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
        return [
            *values,
            max(-8.0, min(10.0, score)),
            float(bool(self.rules.nonsense(measured))),
            float(bool(self.rules.refusal(item.response, measured, score))),
            float(bool(self.rules.refusal(item.response, measured, _ANY_SCORE))),
        ]
