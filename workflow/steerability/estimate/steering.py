"""How far every intervention moves a model from the baseline: the rows of ``steering.csv``."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from steerability.estimate.bootstrap import Draws, percentile_interval
from steerability.estimate.contrast_table import Found
from steerability.estimate.grid import Model
from steerability.estimate.p_values import holm, p_text
from steerability.estimate.rate_table import Row
from steerability.estimate.rates import nats_text, points_text
from steerability.protocol.intervention import Intervention

STEERING_COLUMNS = (
    *("task", "model", "intervention", "family", "access", "strength", "measure", "n"),
    *("baseline", "value", "shift", "low", "high", "p", "p_adjusted", "share_against"),
    *("controls", "control_rank", "judge", "guard", "slope", "slope_low", "slope_high"),
)
LEAST_STRENGTHS = 3


@dataclass(frozen=True)
class Measured:
    """What one model shows of one measure under every intervention.

    Attributes:
        task: the task's name.
        model: the model.
        guard: the guard; empty for none.
        judge: the judge; empty for a choice.
        measure: the event, or ``log_odds``.
        values: by intervention, as tables write them.
        draws: by intervention, in every resample; only what a slope needs.
        counts: by intervention, the number of scenarios with a value.
        nats: whether values are nats rather than shares.
    """

    task: str
    model: Model
    guard: str
    judge: str
    measure: str
    values: Mapping[str, str | None]
    draws: Mapping[str, Draws]
    exact: Mapping[str, float]
    counts: Mapping[str, int]
    nats: bool = False

    def text(self, value: float) -> str | None:
        """Return a value or a difference of values as tables write it."""
        return nats_text(value) if self.nats else points_text(value)


class Slope(NamedTuple):
    """Change of a measure by one unit of strength."""

    estimate: float
    low: float
    high: float


def needs_slope(
    interventions: Mapping[str, Intervention], names: Iterable[str]
) -> dict[str, tuple[str, ...]]:
    """Return the families with at least three strengths: each member with all members.

    Controls are no members of the family of what they control.

    Args:
        interventions: by name.
        names: those that are there.
    """
    families: dict[str, list[str]] = {}
    for name in names:
        one = interventions.get(name)
        if one is not None and one.strength is not None and one.control_of is None:
            families.setdefault(one.family, []).append(name)
    found: dict[str, tuple[str, ...]] = {}
    for members in families.values():
        if len({interventions[name].strength for name in members}) >= LEAST_STRENGTHS:
            found |= dict.fromkeys(members, tuple(members))
    return found


def slope(
    strengths: Sequence[float],
    values: Sequence[float],
    draws: Sequence[Draws],
    confidence: float,
) -> Slope:
    """Return the slope of a measure over strength by least squares, with a bootstrap interval.

    Least squares is linear in the values, so that the baseline, which all shifts share, drops out,
    and the slope of every resample is that of its own values.

    Args:
        strengths: of the interventions.
        values: the measure under each, a share or nats.
        draws: the same in every resample.
        confidence: of the interval.
    """
    centre = math.fsum(strengths) / len(strengths)
    spread = math.fsum((strength - centre) ** 2 for strength in strengths)
    factors = [(strength - centre) / spread for strength in strengths]
    resampled = np.zeros(len(draws[0]))
    for factor, drawn in zip(factors, draws, strict=True):
        resampled = resampled + factor * drawn
    estimate = math.fsum(f * value for f, value in zip(factors, values, strict=True))
    return Slope(estimate, *percentile_interval(resampled, confidence))


@dataclass
class _Entry:
    """A row on its way: what is compared, the shift unrounded, and the fields so far."""

    family: tuple[str, str]
    name: str
    exact: float
    p: float
    row: Row = field(default_factory=dict)


def steering_rows(
    measured: Iterable[Measured],
    found: Iterable[Found],
    interventions: Mapping[str, Intervention],
    baseline: str | None,
    confidence: float,
) -> list[Row]:
    """Return a row for every task, model and intervention but the baseline.

    ``shift`` is intervention minus baseline, out of ``contrasts.csv``. Without a baseline rows
    hold the values alone. ``p_adjusted`` is Holm's over the rows of a task.

    Args:
        measured: what every model shows of its tasks' own measures.
        found: the differences between interventions.
        interventions: by name; families, strengths and controls.
        baseline: the intervention that does nothing.
        confidence: of the slopes' intervals.
    """
    differences: dict[tuple[str, str, str, str, str, str], Found] = {}
    for one in found:
        ends = {one.contrast.a, one.contrast.b}
        if baseline in ends and len(ends) == 2:
            (name,) = ends - {baseline}
            key = (one.task, one.model.name, one.guard, one.judge, one.measure, str(name))
            differences.setdefault(key, one)
    entries: list[_Entry] = []
    for of_model in measured:
        entries += _of_model(of_model, differences, interventions, baseline, confidence)
    return _adjusted(entries)


def _adjusted(entries: Sequence[_Entry]) -> list[Row]:
    families: dict[tuple[str, str], list[_Entry]] = {}
    for entry in entries:
        families.setdefault(entry.family, []).append(entry)
    for family in families.values():
        for entry, p in zip(family, holm([entry.p for entry in family]), strict=True):
            entry.row["p_adjusted"] = p_text(p)
    return [entry.row for entry in entries]


def _of_model(
    measured: Measured,
    differences: Mapping[tuple[str, str, str, str, str, str], Found],
    interventions: Mapping[str, Intervention],
    baseline: str | None,
    confidence: float,
) -> Iterator[_Entry]:
    names = [name for name in measured.values if name != baseline]
    place = (measured.task, measured.model.name, measured.guard, measured.judge, measured.measure)
    shifts: dict[str, float] = {}
    for name in names:
        one = differences.get((*place, name))
        if one is not None:
            shifts[name] = one.exact if one.contrast.a == name else -one.exact
    slopes = _slopes(measured, interventions, names, confidence)
    for name in names:
        row: Row = dict.fromkeys(STEERING_COLUMNS)
        row |= {"task": measured.task, "model": measured.model.name, "intervention": name}
        row |= {"measure": measured.measure, "judge": measured.judge, "guard": measured.guard}
        row |= {"n": measured.counts[name], "value": measured.values[name]}
        row |= _means(interventions.get(name)) | slopes.get(name, {})
        if baseline is not None and baseline in measured.values:
            row["baseline"] = measured.values[baseline]
        p = math.nan
        one = differences.get((*place, name))
        if one is not None:
            row |= _shift(one, name) | _controls(name, shifts, interventions)
            p = one.p
        yield _Entry((measured.task, measured.measure), name, shifts.get(name, math.nan), p, row)


def _means(intervention: Intervention | None) -> Row:
    if intervention is None:
        return {}
    strength = intervention.strength
    return {
        "family": intervention.family,
        "access": intervention.access,
        "strength": None if strength is None else f"{strength:g}",
    }


def _shift(found: Found, name: str) -> Row:
    """The difference as a shift from the baseline: its sign turned where that comes first."""
    fields = found.fields()
    estimate, low, high = (fields[key] for key in ("estimate", "low", "high"))
    if found.contrast.a != name:
        estimate, low, high = (_negated(value) for value in (estimate, high, low))
    return {
        "n": fields["n"],
        "shift": estimate,
        "low": low,
        "high": high,
        "p": fields["p"],
        "share_against": fields["share_against"],
    }


def _negated(value: object) -> str | None:
    if value is None:
        return None
    text = str(value)
    if not float(text):
        return text
    return text.removeprefix("-") if text.startswith("-") else f"-{text}"


def _controls(
    name: str, shifts: Mapping[str, float], interventions: Mapping[str, Intervention]
) -> Row:
    """How many controls there are, and the place of the shift among theirs, ties lost."""
    controls = [
        other
        for other in shifts
        if (one := interventions.get(other)) is not None and one.control_of == name
    ]
    if not controls or math.isnan(shifts[name]):
        return {}
    sign = math.copysign(1.0, shifts[name])
    ahead = sum(sign * shifts[other] >= sign * shifts[name] for other in controls)
    return {"controls": len(controls), "control_rank": 1 + ahead}


def _slopes(
    measured: Measured,
    interventions: Mapping[str, Intervention],
    names: Sequence[str],
    confidence: float,
) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for name, members in needs_slope(interventions, names).items():
        first = members[0]
        if first in rows:
            rows[name] = rows[first]
            continue
        strengths = [float(interventions[member].strength or 0.0) for member in members]
        values = [measured.exact[member] for member in members]
        draws = [measured.draws[member] for member in members]
        found = slope(strengths, values, draws, confidence)
        texts = (measured.text(value) for value in found)
        rows[name] = dict(zip(("slope", "slope_low", "slope_high"), texts, strict=True))
    return rows
