"""The ``distilled`` judge: a small linear model trained on another judge's labels."""

import itertools
import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from steerability.judges.base import Verdict, content_of, rounded, softmax
from steerability.judges.rules import RulesJudge
from steerability.protocol.response import JudgeInput
from steerability.protocol.scale import BEHAVIOUR
from steerability.support.canonical import digest as digest_of
from steerability.support.errors import UserError
from steerability.support.jsonl import read_records
from steerability.trained_judge.features import SEMANTICS, VIEWS, Tabular, Text, view
from steerability.trained_judge.file import Trained, read_trained
from steerability.trained_judge.fitting import standardised
from steerability.trained_judge.held_out import OutOfFold

_SHOWN = 3
Values = NDArray[np.float64]


class _Numbers(NamedTuple):
    """A trained judge's arrays in double precision.

    Attributes:
        columns: shape (labels, columns).
        mean: shape (columns,).
        scale: shape (columns,).
        terms: one of shape (terms, labels) for each view.
        intercept: shape (1, labels).
    """

    columns: Values
    mean: Values
    scale: Values
    terms: tuple[Values, ...]
    intercept: Values


class _Found(NamedTuple):
    """What a part of the features says of one response.

    Attributes:
        view: the part's name; empty for the numbers.
        names: of the features.
        points: for each label, shape (features, labels).
    """

    view: str
    names: Sequence[str]
    points: Values

    def words(self, at: int) -> str:
        """Return how a reason names a feature."""
        if not self.view:
            return self.names[at]
        return f'"{self.names[at]}"' + ("" if self.view == "whole" else f" in the {self.view}")


class DistilledJudge:
    """A trained judge.

    Args:
        digest: of its file.
        trained: its arrays and facts.
        held_out: labels of its own training cells, by models that did not see their scenario, by
            the digests of their contents; a cell of such content gets that label, whatever it is
            called, and never the one that was trained on.
    """

    name = "distilled"

    def __init__(
        self, digest: str, trained: Trained, held_out: Mapping[str, OutOfFold] | None = None
    ) -> None:
        self.digest = digest
        self.held_out = held_out or {}
        self.trained = trained
        self.tabular = Tabular(RulesJudge(trained.facts.rubric))
        common = frozenset(trained.facts.rubric.common_words)
        self.texts = [
            Text(one.terms, one.rarity.astype(np.float64), common) for one in trained.views
        ]

    @classmethod
    def load(cls, weights: Path | None, held_out: Path | None = None) -> "DistilledJudge":
        """Return the judge of a trained file or of the pointer to it.

        Raises:
            UserError: no file is named, or it is missing, altered or of another version.
        """
        if weights is None:
            raise UserError(
                "the distilled judge needs its trained file",
                where="--weights",
                mend="name distilled.json, which `steerability distil` writes",
            )
        digest, trained = read_trained(weights)
        records = read_records(held_out, OutOfFold) if held_out is not None else ()
        unseen = by_content(row for row in records if row.evaluation == "scenario")
        judge = cls(digest, trained, unseen)
        if trained.facts.semantics != SEMANTICS or len(judge.tabular.names) != len(trained.mean):
            raise UserError("was trained by another version", where=weights, mend="train it again")
        return judge

    @cached_property
    def numbers(self) -> _Numbers:
        """The arrays as they are reckoned with."""
        one = self.trained
        arrays = (one.columns, one.mean, one.scale, one.intercept[None, :])
        columns, mean, scale, intercept = (array.astype(np.float64) for array in arrays)
        terms = tuple(known.weights.T.astype(np.float64, order="C") for known in one.views)
        return _Numbers(columns, mean, scale, terms, intercept)

    @cached_property
    def _places(self) -> dict[str, int]:
        # of groups of one name, which a rubric may have, the last one counts
        return {name: at for at, name in enumerate(self.tabular.names)}

    @cached_property
    def definition(self) -> Mapping[str, Any]:
        """The trained file's digest and the features' version."""
        whole: dict[str, Any] = {
            "judge": self.name,
            "semantics": SEMANTICS,
            "weights": self.digest,
        }
        if self.held_out:
            rows = sorted(self.held_out.items())
            whole["held_out"] = digest_of([[at, row.label, row.probabilities] for at, row in rows])
        return whole

    def label(self, inputs: Sequence[JudgeInput]) -> Iterator[Verdict]:
        """Yield one verdict per input, in order."""
        for item in inputs:
            unseen = self.held_out.get(digest_of(content_of(item))) if self.held_out else None
            yield self.decide(item) if unseen is None else _unseen(item.id, unseen)

    def decide(self, item: JudgeInput) -> Verdict:
        """Return the verdict on one completion, with what spoke for it most."""
        numbers = self.numbers
        table = standardised(np.array(self.tabular.row(item)), numbers.mean, numbers.scale)
        points = (numbers.columns * table).T
        found = [_Found("", list(self._places), points[list(self._places.values())])]
        for name, text, weights in zip(VIEWS, self.texts, numbers.terms, strict=True):
            row = text.row(view(name, item.response))
            places = list(row)
            points = weights[places] * np.array(list(row.values()))[:, None]
            names = [text.terms[place] for place in places]
            found.append(_Found(name, names, points))
        # sums of exact products by fsum: the same on every machine
        whole = np.concatenate([numbers.intercept, *(part.points for part in found)])
        scores = [math.fsum(values) for values in whole.T.tolist()]
        chances = softmax([score / self.trained.facts.temperature for score in scores])
        first, second = sorted(range(len(BEHAVIOUR.names)), key=lambda at: -chances[at])[:2]
        best = _best(found, whole[1:, first] - whole[1:, second])
        chance = f"p {chances[first]:.2f}, next {BEHAVIOUR.names[second]} {chances[second]:.2f}"
        evidence = ", ".join(f"{name} {margin:+.2f}" for margin, name in best)
        return Verdict(
            id=item.id,
            label=BEHAVIOUR.names[first],
            reason=f"{chance}; {evidence}",
            probabilities=rounded(BEHAVIOUR.names, chances),
        )


def _best(found: Sequence[_Found], margins: Values) -> list[tuple[float, str]]:
    """Return the features that spoke for a label most, equal ones by name.

    Args:
        found: the parts.
        margins: of all their features, part after part.
    """
    least = np.partition(margins, -_SHOWN)[-_SHOWN] if len(margins) > _SHOWN else -np.inf
    sizes = list(itertools.accumulate((len(part.names) for part in found), initial=0))
    named = []
    for at in np.flatnonzero(margins >= least).tolist():
        place = bisect_right(sizes, at) - 1
        named.append((float(margins[at]), found[place].words(at - sizes[place])))
    return sorted(named, key=lambda pair: (-pair[0], pair[1]))[:_SHOWN]


def by_content(rows: Iterable[OutOfFold]) -> dict[str, OutOfFold]:
    """Return held-out labels by the digest of what is judged; of equal contents the first's.

    What was sent as it stands goes before what is only alike without the intervention's text.
    """
    rows = list(rows)
    found: dict[str, OutOfFold] = {}
    for blind in (False, True):
        for row in rows:
            found.setdefault(row.contents[blind], row)
    return found


def _unseen(identity: str, row: OutOfFold) -> Verdict:
    chance = max(row.probabilities.values())
    return Verdict(
        id=identity,
        label=row.label,
        reason=f"p {chance:.2f}, by a model trained without this scenario",
        probabilities=row.probabilities,
    )
