"""The ``distilled`` judge: a small linear model trained on another judge's labels."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from steerability.judges.base import Verdict, content_of, rounded, softmax
from steerability.judges.rules import RulesJudge
from steerability.protocol.records import LABELS, JudgeInput
from steerability.support.canonical import digest as digest_of
from steerability.support.errors import UserError
from steerability.support.jsonl import read_records
from steerability.trained_judge.features import SEMANTICS, VIEWS, Tabular, Text, view
from steerability.trained_judge.file import Trained, read_trained
from steerability.trained_judge.fitting import standardised
from steerability.trained_judge.held_out import OutOfFold

_SHOWN = 3


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
            unseen = self.held_out.get(digest_of(content_of(item)))
            yield self.decide(item) if unseen is None else _unseen(item.id, unseen)

    def decide(self, item: JudgeInput) -> Verdict:
        """Return the verdict on one completion, with what spoke for it most."""
        trained = self.trained
        table = standardised(
            np.array(self.tabular.row(item)),
            trained.mean.astype(np.float64),
            trained.scale.astype(np.float64),
        )
        columns = trained.columns.astype(np.float64) * table
        points = dict(zip(self.tabular.names, columns.T.tolist(), strict=True))
        for name, text, known in zip(VIEWS, self.texts, trained.views, strict=True):
            row = text.row(view(name, item.response))
            places = list(row)
            weights = known.weights[:, places].astype(np.float64) * np.array(list(row.values()))
            where = "" if name == "whole" else f" in the {name}"
            for place, values in zip(places, weights.T.tolist(), strict=True):
                points[f'"{known.terms[place]}"{where}'] = values
        # sums of exact products by fsum: the same on every machine
        scores = [
            math.fsum([float(trained.intercept[at]), *(values[at] for values in points.values())])
            for at in range(len(LABELS))
        ]
        chances = softmax([score / trained.facts.temperature for score in scores])
        first, second = sorted(range(len(LABELS)), key=lambda at: -chances[at])[:2]
        margins = [(values[first] - values[second], name) for name, values in points.items()]
        best = sorted(margins, key=lambda pair: (-pair[0], pair[1]))[:_SHOWN]
        chance = f"p {chances[first]:.2f}, next {LABELS[second]} {chances[second]:.2f}"
        evidence = ", ".join(f"{name} {margin:+.2f}" for margin, name in best)
        return Verdict(
            id=item.id,
            label=LABELS[first],
            reason=f"{chance}; {evidence}",
            probabilities=rounded(LABELS, chances),
        )


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
