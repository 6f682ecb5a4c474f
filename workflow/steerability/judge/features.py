"""What the ``distilled`` judge sees of a response: counts, never the intervention.

Two kinds: a short row of numbers (the measures and cue groups of the ``rules`` judge, its score
and its two verdicts), and words in order with negation marked, so that ``hide`` and ``will not
hide`` are different words. Neither reads the prompt but for the echo measures, so the judge
cannot label by the suffix that stands in it.
"""

import itertools
import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.feature_extraction import FeatureHasher

from steerability.judge.measures import MEASURES
from steerability.judge.rules import RulesJudge
from steerability.records import JudgeInput

SEMANTICS = 1
BITS = 17
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


@dataclass(frozen=True)
class Text:
    """The hashed counts of terms.

    A term's bucket and sign come from MurmurHash3 (Weinberger et al. 2009, Feature Hashing for
    Large Scale Multitask Learning); a count c becomes 1 + ln c, and a row has length 1.

    Attributes:
        bits: there are ``2 ** bits`` buckets.
        common: see ``terms``.
    """

    bits: int
    common: frozenset[str]

    @cached_property
    def _hasher(self) -> FeatureHasher:
        return FeatureHasher(n_features=2**self.bits, input_type="string", dtype=np.float64)

    def matrix(self, texts: Sequence[str]) -> csr_matrix:
        """Return the rows of texts: float64, shape (texts, buckets)."""
        counts = csr_matrix(self._hasher.transform(terms(text, self.common) for text in texts))
        counts.eliminate_zeros()
        counts.data = np.array(
            [math.copysign(1.0 + math.log(abs(value)), value) for value in counts.data.tolist()]
        )
        for row in range(counts.shape[0]):
            part = counts.data[counts.indptr[row] : counts.indptr[row + 1]]
            if len(part):
                part /= math.sqrt(math.fsum((part * part).tolist()))
        return counts

    def buckets(self, names: Sequence[str]) -> list[int]:
        """Return the bucket of each term, to name what decided."""
        if not names:
            return []
        hashed = csr_matrix(self._hasher.transform([name] for name in names))
        return [int(bucket) for bucket in hashed.indices]


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
