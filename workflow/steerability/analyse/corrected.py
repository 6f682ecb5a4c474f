"""Judge error carried into the rates: Rogan-Gladen and prediction-powered estimates.

The reference is another judge's labels, or a file of human ones; it is always named. A judge is
measured on calibration cells, which have both labels. A model whose every cell has a reference
label is corrected from the other models' cells alone, so that no estimate is told its answer.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steerability.analyse.bootstrap import percentile_interval, scenario_weights
from steerability.analyse.grid import ABSENT, CONDITIONS, CONVERGENCE, Grid, valid
from steerability.analyse.rates import points, wilson
from steerability.config.analysis import Analysis
from steerability.tables import Field

_BOUNDS = ("sensitivity", "specificity")
COLUMNS = (
    *("model", "size", "stage", "judge", "reference", "method", "quantity", "n"),
    *("calibration", "calibration_n", "as_judged", "corrected", "low", "high", "reference_value"),
    *(f"{name}{end}" for name in _BOUNDS for end in ("", "_low", "_high")),
)
OTHER_MODELS, LABELLED = "the other models", "all labelled cells"
_TOO_WEAK = 0.05

Labels = NDArray[np.int8]
Draws = NDArray[np.float64]
Weights = NDArray[np.int64]
Event = Callable[[Labels], NDArray[np.bool_]]


@dataclass(frozen=True)
class Tally:
    """Counts of one yes/no event, one per resample.

    Attributes:
        n: judged cells of the model, and ``yes``: those where the judge says yes.
        cells: calibration cells, of which ``judge`` says yes in some, ``reference`` in some,
            and ``both`` in some.
    """

    n: Draws
    yes: Draws
    cells: Draws
    judge: Draws
    reference: Draws
    both: Draws

    @property
    def sensitivity(self) -> Draws:
        """Share of the reference's yes where the judge says yes."""
        return divide(self.both, self.reference)

    @property
    def specificity(self) -> Draws:
        """Share of the reference's no where the judge says no."""
        no = self.cells - self.reference
        return divide(no - self.judge + self.both, no)


def divide(a: Draws, b: Draws) -> Draws:
    """Return a / b, NaN where b is 0."""
    quotient = np.full(a.shape, np.nan)
    np.divide(a, b, out=quotient, where=b != 0)
    return quotient


def rogan_gladen(tally: Tally) -> Draws:
    """Return the share of yes corrected by sensitivity and specificity, within 0 and 1.

    Source: Rogan and Gladen (1978), American Journal of Epidemiology 107, 71-76. It assumes that
    the judge errs on the model's cells at the rates of the calibration cells. NaN where the judge
    hardly tells yes from no (sensitivity + specificity - 1 below 0.05); as judged where the
    reference says yes, or no, of every calibration cell.
    """
    judged = divide(tally.yes, tally.n)
    power = tally.sensitivity + tally.specificity - 1
    share = np.full(judged.shape, np.nan)
    strong = np.greater_equal(
        power, _TOO_WEAK, where=~np.isnan(power), out=np.zeros_like(power, bool)
    )
    np.divide(judged + tally.specificity - 1, power, out=share, where=strong)
    one_sided = (tally.reference == 0) | (tally.reference == tally.cells)
    return np.clip(np.where(one_sided, judged, share), 0, 1)


def prediction_powered(tally: Tally) -> Draws:
    """Return the judge's share of yes plus the mean of reference minus judge, within 0 and 1.

    Source: Angelopoulos et al. (2023), Prediction-powered inference, Science 382, 669-674, the
    estimator of a mean. It assumes that the judge's mean error on the model's cells is that of
    the calibration cells; the variance-tuned variant would mix in their prevalence and is not
    used, since calibration cells come from other models.
    """
    judged = divide(tally.yes, tally.n)
    return np.clip(judged + divide(tally.reference - tally.judge, tally.cells), 0, 1)


METHODS = {"rogan_gladen": rogan_gladen, "prediction_powered": prediction_powered}


def converged(labels: Labels) -> NDArray[np.bool_]:
    """Return which labels are convergence."""
    hits: NDArray[np.bool_] = labels == CONVERGENCE
    return hits


def tally(
    labels: Labels,
    pairs: Sequence[tuple[Labels, Labels]],
    weights: tuple[Weights, Weights, Weights],
    event: Event,
) -> Tally:
    """Count an event over resampled scenarios.

    Args:
        labels: the judge's labels of the model's cells, shape (scenarios,).
        pairs: the judge's and the reference's labels of calibration cells, one pair per model,
            shape (calibration scenarios,); cells without both are left out.
        weights: how often each scenario, each calibration scenario and each calibration model
            is drawn; shapes (resamples, scenarios or models).
        event: which labels are a yes.
    """
    mine, theirs, copies = weights
    drawn = np.zeros((4, len(theirs)), dtype=np.int64)
    for times, (judge, reference) in zip(copies.T, pairs, strict=True):
        used = (judge != ABSENT) & (reference != ABSENT)
        yes, true = event(judge) & used, event(reference) & used
        for at, row in enumerate((used, yes, true, yes & true)):
            drawn[at] += times * (theirs @ row.astype(np.int64))
    used = labels != ABSENT
    own = (mine @ row.astype(np.int64) for row in (used, event(labels) & used))
    return Tally(*(sums.astype(np.float64) for sums in (*own, *drawn)))


@dataclass(frozen=True)
class Calibration:
    """Cells with both labels; ``same_run`` where they are the cells that are corrected."""

    judged: Grid
    reference: Grid
    same_run: bool

    def pairs(self, condition: str, without: str | None) -> list[tuple[Labels, Labels]]:
        """Return both labels under a condition, per model, one model left out if need be."""
        return [
            (self.judged.of(at, condition), self.reference.of(place, condition))
            for at, model in enumerate(self.judged.models)
            if model.name != without and (place := self.reference.index(model.name)) is not None
        ]

    def covers(self, judged: Grid, at: int) -> bool:
        """Whether every judged cell of a model has a reference label here."""
        place = self.reference.index(judged.models[at].name) if self.same_run else None
        if place is None:
            return False
        return all(
            ((judged.of(at, c) == ABSENT) | (self.reference.of(place, c) != ABSENT)).all()
            for c in CONDITIONS
        )


def correct(judged: Grid, calibration: Calibration, plan: Analysis) -> list[dict[str, Field]]:
    """Return convergence rates as judged and as corrected, rows of ``corrected.csv``.

    A rate over valid outputs is the corrected share of convergence over the corrected share of
    valid outputs, each under its own intervention, since a judge may err differently under pro
    and anti. The judge's errors are drawn anew in every resample, of scenarios within categories
    and of calibration models, so that their uncertainty and their variation between models are in
    the interval (Owen 2007, The pigeonhole bootstrap, Annals of Applied Statistics 1, 386-411).
    """
    weights = _weights(judged, plan, 0)
    same = calibration.judged.scenarios == judged.scenarios
    theirs = weights if same else _weights(calibration.judged, plan, 1)
    return [
        row
        for at in range(len(judged.models))
        for row in _of_model(judged, at, calibration, (weights, theirs), plan)
    ]


def _weights(grid: Grid, plan: Analysis, step: int) -> Weights:
    """The observed sample as the first row, resamples below."""
    once = np.ones((1, len(grid.scenarios)), dtype=np.int64)
    return np.vstack([once, scenario_weights(grid, plan.resamples, plan.seed + step)])


def _model_weights(models: int, plan: Analysis) -> Weights:
    """How often each calibration model is drawn; the observed sample as the first row."""
    rng = np.random.Generator(np.random.PCG64([plan.seed, models]))
    drawn = rng.integers(0, max(models, 1), size=(plan.resamples, models))
    copies = (drawn[:, :, None] == np.arange(models)).sum(axis=1)
    return np.vstack([np.ones((1, models), dtype=np.int64), copies])


def _of_model(
    judged: Grid,
    at: int,
    calibration: Calibration,
    weights: tuple[Weights, Weights],
    plan: Analysis,
) -> list[dict[str, Field]]:
    model = judged.models[at]
    held_out = calibration.covers(judged, at)
    plain: dict[str, Draws] = {}
    better: dict[str, dict[str, Draws]] = {method: {} for method in METHODS}
    hits: dict[str, Tally] = {}
    truth: dict[str, float] = {}
    for condition in CONDITIONS:
        labels = judged.of(at, condition)
        if (labels == ABSENT).all():
            continue
        pairs = calibration.pairs(condition, model.name if held_out else None)
        draws = (*weights, _model_weights(len(pairs), plan))
        hits[condition], kept = (tally(labels, pairs, draws, e) for e in (converged, valid))
        plain[condition] = divide(hits[condition].yes, kept.yes)
        for method, estimate in METHODS.items():
            rate = divide(estimate(hits[condition]), estimate(kept))
            better[method][condition] = np.clip(rate, 0, 1)
        if held_out:
            place = calibration.reference.index(model.name)
            of_reference = calibration.reference.of(place or 0, condition)
            whole = int(valid(of_reference).sum())
            truth[condition] = int(converged(of_reference).sum()) / whole if whole else math.nan
    rows: list[dict[str, Field]] = []
    for method in METHODS:
        names = [*plain, "delta"] if {"pro", "anti"} <= plain.keys() else list(plain)
        for name in names:
            rates = _pick(better[method], name)
            low, high = percentile_interval(rates[1:], plan.confidence)
            first = hits["pro" if name == "delta" else name]
            known = not math.isnan(rates[0])
            row: dict[str, Field] = {"model": model.name, "size": model.size, "stage": model.stage}
            row |= {
                "judge": judged.judge,
                "reference": calibration.reference.judge,
                "method": method,
                "quantity": name,
                "n": int(first.n[0]),
                "calibration": OTHER_MODELS if held_out else LABELLED,
                "calibration_n": int(first.cells[0]),
                "as_judged": _text(_pick(plain, name)[0]),
                "corrected": _text(rates[0]),
                "low": _text(low) if known else None,
                "high": _text(high) if known else None,
                "reference_value": _text(_difference(truth, name)),
            }
            row |= _power(None if name == "delta" else first, plan.confidence)
            rows.append(row)
    return rows


def _pick(draws: dict[str, Draws], name: str) -> Draws:
    return draws["pro"] - draws["anti"] if name == "delta" else draws[name]


def _difference(values: dict[str, float], name: str) -> float:
    if name == "delta":
        return values.get("pro", math.nan) - values.get("anti", math.nan)
    return values.get(name, math.nan)


def _text(value: float) -> str | None:
    rounded = points(float(value))
    return None if rounded is None else str(rounded)


def _power(counted: Tally | None, confidence: float) -> dict[str, Field]:
    """Sensitivity and specificity in per cent with Wilson intervals; nothing for a difference."""
    row: dict[str, Field] = {f"{n}{end}": None for n in _BOUNDS for end in ("", "_low", "_high")}
    if counted is None:
        return row
    cells, judge, reference, both = (
        int(x[0]) for x in (counted.cells, counted.judge, counted.reference, counted.both)
    )
    right = {"sensitivity": (both, reference)}
    right["specificity"] = (cells - reference - judge + both, cells - reference)
    for name, (part, whole) in right.items():
        interval = wilson(part, whole, confidence)
        if interval is not None:
            row[name] = _text(part / whole)
            row[f"{name}_low"], row[f"{name}_high"] = (_text(bound) for bound in interval)
    return row
