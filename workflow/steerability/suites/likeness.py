"""How alike two prompts are, to keep duplicates and near duplicates out of a suite.

The measure is the overlap coefficient of the sets of word trigrams: the number of trigrams that
both prompts hold, divided by the number in the smaller set (Szymkiewicz-Simpson; Broder's
"containment" of shingles, 1997). Unlike Jaccard's index it also finds a prompt that was lengthened.
Words are compared without case, punctuation or compatibility forms; in scripts that do not put
spaces between words each character counts as one. It finds copied wording, not copied ideas.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

from steerability.protocol.records import Scenario

SHINGLE = 3
NEAR_DUPLICATE = 0.5
"""Pairs at or above this are refused. A copy with each fifth word replaced lies near 0.8 cubed,
0.51, or above, by where the words stand; different prompts of the built-in suite stay below 0.1."""

# Thai to Lao, Khmer, kana, CJK ideographs
_UNSPACED = "\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")


class Pair(NamedTuple):
    """Two scenarios and their likeness between 0 and 1."""

    likeness: float
    first: str
    second: str


def words(text: str) -> tuple[str, ...]:
    """Return the words of a text as they are compared."""
    return tuple(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def shingles(text: str) -> frozenset[tuple[str, ...]]:
    """Return the word trigrams of a text; a text of one or two words is one shingle."""
    found = words(text)
    last = max(1, len(found) - SHINGLE + 1)
    return frozenset(found[start : start + SHINGLE] for start in range(last))


def likeness(first: str, second: str) -> float:
    """Return the overlap coefficient of two texts: 1.0 for equal wording, 0.0 for none shared."""
    one, two = shingles(first), shingles(second)
    return len(one & two) / min(len(one), len(two))


def nearest_pair(scenarios: Sequence[Scenario]) -> Pair | None:
    """Return the two scenarios whose prompts are most alike.

    Args:
        scenarios: any number; the time grows with the pairs that share a trigram.

    Returns:
        The pair, the earlier scenario first, the first such pair in case of a tie; None where no
        two prompts share a trigram.
    """
    sets = [shingles(scenario.prompt) for scenario in scenarios]
    holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for index, held in enumerate(sets):
        for shingle in held:
            holders[shingle].append(index)
    shared: Counter[tuple[int, int]] = Counter()
    for indices in holders.values():
        shared.update(combinations(indices, 2))
    if not shared:
        return None

    def rank(pair: tuple[int, int]) -> tuple[float, int, int]:
        smaller = min(len(sets[pair[0]]), len(sets[pair[1]]))
        return (-shared[pair] / smaller, *pair)

    first, second = best = min(shared, key=rank)
    return Pair(-rank(best)[0], scenarios[first].id, scenarios[second].id)
