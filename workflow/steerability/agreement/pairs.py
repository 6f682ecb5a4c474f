"""Joining completions, a judge's labels and reference labels; and which cells are held out."""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from steerability.protocol.records import (
    JUDGE_FAILED,
    Completion,
    Label,
    Outcome,
)
from steerability.support.errors import UserError
from steerability.trained_judge.held_out import OutOfFold

_DECIMALS = 4


@dataclass(frozen=True)
class Pair:
    """One cell that has a reference label and a judge's label.

    Attributes:
        scenario: the unit that is resampled.
        condition: the intervention.
        reference: one of ``LABELS``.
        label: one of ``ANSWERS``.
        probabilities: the judge's, by label; None where it has none.
    """

    scenario: str
    condition: str
    reference: str
    label: str
    probabilities: Mapping[Outcome, float] | None = None


def is_development(scenario: str) -> bool:
    """Say whether a scenario is in the half that cues may be compared with.

    That half is the scenarios whose id's SHA-256 begins with an even byte; the other half is held
    out: nothing reads its completions to write a cue.
    """
    return hashlib.sha256(scenario.encode("utf-8")).digest()[0] % 2 == 0


def check_completed(
    completions: Mapping[str, Completion], labels: Iterable[Label | OutOfFold]
) -> None:
    """Check that every labelled cell is among the completions.

    Raises:
        UserError: one is not; names it.
    """
    for label in labels:
        if label.id not in completions:
            raise UserError(
                f"there is a label but no completion for {label.id}",
                mend="give the completions of every labelled model",
            )


def pair_up(
    completions: dict[str, Completion],
    reference: dict[str, Label],
    labels: Iterable[Label | OutOfFold],
) -> list[Pair]:
    """Return the cells that have both labels, in the order of ``labels``.

    A cell whose reference label is ``judge_failed`` has no reference and is left out.

    Args:
        completions: by id; of every labelled cell (``check_completed``).
        reference: the reference labels by id.
        labels: a judge's.
    """
    pairs = []
    for label in labels:
        row = completions[label.id]
        given = reference.get(label.id)
        if given is not None and given.label != JUDGE_FAILED:
            pairs.append(
                Pair(row.scenario, row.intervention, given.label, label.label, label.probabilities)
            )
    return pairs


def conditions(pairs: Sequence[Pair]) -> list[str]:
    """Return the interventions that occur: pro, none and anti first, others by name."""
    known = ("pro", "none", "anti")
    found = {pair.condition for pair in pairs}
    return [name for name in known if name in found] + sorted(found.difference(known))


def number(value: float) -> str | None:
    """Return a figure as the CSV files print it, None where it is not defined."""
    return None if math.isnan(value) else f"{value:.{_DECIMALS}f}"
