"""Judge error carried into the rates: Rogan-Gladen and prediction-powered estimates.

The reference is another judge's labels, or a file of human ones; it is always named. A judge is
measured on calibration cells, which have both labels. A model whose every cell has a reference
label is corrected from the other models' cells alone, so that no estimate is told its answer.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from steerability.config.analysis import Analysis
from steerability.config.study import Study
from steerability.estimate.bootstrap import (
    Draws,
    Weights,
    divide,
    exact_product,
    grid_weights,
    percentile_interval,
)
from steerability.estimate.grid import ABSENT, Grid, Labels
from steerability.estimate.rates import points_text, wilson
from steerability.inference.families import headline_gap
from steerability.protocol.design import DELTA
from steerability.support.tables import Field

_BOUNDS = ("sensitivity", "specificity")
COLUMNS = (
    *("model", "size", "stage", "judge", "reference", "method", "quantity", "n"),
    *("calibration", "calibration_n", "as_judged", "corrected", "low", "high", "undefined"),
    "reference_value",
    *(f"{name}{end}" for name in _BOUNDS for end in ("", "_low", "_high")),
)
OTHER_MODELS, LABELLED = "the other models", "all labelled cells"
_TOO_WEAK = 0.05

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


def vary_unanimous(counted: Tally, rng: np.random.Generator) -> Tally:
    """Let a judge's share vary between resamples where it says yes of no cell, or of every one.

    Resampling cannot show that 0 of 71 might have been 3. The resamples' shares are then drawn
    from the Jeffreys posterior Beta(yes + 1/2, n - yes + 1/2); the observed sample stays.
    Source: Brown, Cai and DasGupta (2001), Statistical Science 16, 101-133.
    """
    return replace(counted, yes=_vary(counted.yes, counted.n, rng))


def vary_errors(counted: Tally, rng: np.random.Generator) -> Tally:
    """Let sensitivity and specificity vary between resamples where the sample has 0 or 100 %.

    Resampling cannot show that a judge who missed none of 40 might have missed two. The resamples'
    rate is then drawn from the Jeffreys posterior, as in ``vary_unanimous``, the calibration cells
    with the reference's answer taken as independent; the observed sample stays.
    """
    no = counted.cells - counted.reference
    false_alarms = counted.judge - counted.both
    both = _vary(counted.both, counted.reference, rng)
    false_alarms = _vary(false_alarms, no, rng)
    return replace(counted, judge=both + false_alarms, both=both)


def _vary(part: Draws, whole: Draws, rng: np.random.Generator) -> Draws:
    """Draw the resamples' part of a whole anew where the sample, the first, has none or all."""
    k, n = part[0], whole[0]
    if 0 < k < n or not n:
        return part
    shares = rng.beta(k + 0.5, n - k + 0.5, size=len(part) - 1)
    return np.concatenate([part[:1], shares * whole[1:]])


METHODS = {"rogan_gladen": rogan_gladen, "prediction_powered": prediction_powered}


def tally(
    labels: Labels,
    pairs: Sequence[tuple[Labels, Labels]],
    weights: tuple[Weights, Weights, Weights],
    event: Event,
) -> Tally:
    """Count an event over resampled scenarios.

    Args:
        labels: the judge's labels of the model's cells, shape (scenarios, samples).
        pairs: the judge's and the reference's labels of calibration cells, one pair per model,
            shape (calibration scenarios, samples); cells without both are left out.
        weights: how often each scenario, each calibration scenario and each calibration model
            is drawn; shapes (resamples, scenarios or models).
        event: which labels are a yes.
    """
    mine, theirs, copies = weights
    drawn = np.zeros((4, len(theirs)))
    for times, (judge, reference) in zip(copies.T, pairs, strict=True):
        used = (judge != ABSENT) & (reference != ABSENT)
        yes, true = event(judge) & used, event(reference) & used
        drawn += times * exact_product(theirs, _by_scenario(used, yes, true, yes & true))
    used = labels != ABSENT
    own = exact_product(mine, _by_scenario(used, event(labels) & used))
    return Tally(*own, *drawn)


def _by_scenario(*cells: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Cells counted over the samples of each scenario, one row for each array."""
    return np.stack([each.sum(axis=1) for each in cells])


@dataclass(frozen=True)
class Calibration:
    """Cells with both labels; ``same_run`` where they are the cells that are corrected."""

    judged: Grid
    reference: Grid
    same_run: bool

    def pairs(self, intervention: str, without: str | None) -> list[tuple[Labels, Labels]]:
        """Return both labels under an intervention, per model, one model left out if need be."""
        return [
            (self.judged.of(at, intervention), self.reference.of(place, intervention))
            for at, model in enumerate(self.judged.models)
            if model.name != without and (place := self.reference.index(model.name)) is not None
        ]

    def covers(self, judged: Grid, at: int, interventions: Sequence[str]) -> bool:
        """Whether every judged cell of a model under interventions has a reference label here."""
        place = self.reference.index(judged.models[at].name) if self.same_run else None
        if place is None:
            return False
        return all(
            ((judged.of(at, name) == ABSENT) | (self.reference.of(place, name) != ABSENT)).all()
            for name in interventions
        )


def corrected_interventions(grid: Grid, study: Study) -> tuple[str, ...]:
    """Return what is corrected: the holders of roles, all interventions where none has one."""
    holders = tuple(name for name in grid.interventions if study.design.role(name))
    return holders or grid.interventions


def correct(judged: Grid, calibration: Calibration, study: Study) -> list[dict[str, Field]]:
    """Return rates of the event as judged and as corrected, rows of ``corrected.csv``.

    A rate over valid outputs is the corrected share of the event over the corrected share of valid
    outputs, each under its own intervention, since a judge may err differently under each. The
    judge's errors are drawn anew in every resample, of scenarios within categories and of
    calibration models, so that their uncertainty and their variation between models are in the
    interval (Owen 2007, The pigeonhole bootstrap, Annals of Applied Statistics 1, 386-411); a
    share or an error rate that every resample would repeat is varied by ``vary_unanimous`` and
    ``vary_errors``. A resample where the estimate is not defined has no part in the interval;
    ``undefined`` is the share of these.

    Args:
        judged: a judge's labels of the run.
        calibration: cells with that judge's and the reference's labels.
        study: the run's roles and settings.
    """
    plan = study.analysis
    weights = _weights(judged, plan, 0)
    same = calibration.judged.scenarios == judged.scenarios
    theirs = weights if same else _weights(calibration.judged, plan, 1)
    return [
        row
        for at in range(len(judged.models))
        for row in _of_model(judged, at, calibration, (weights, theirs), study)
    ]


def _weights(grid: Grid, plan: Analysis, step: int) -> Weights:
    """The observed sample as the first row, resamples below."""
    once = np.ones((1, len(grid.scenarios)), dtype=np.uint8)
    return np.vstack([once, grid_weights(grid, plan.resamples, plan.seed + step)])


def _model_weights(models: int, plan: Analysis) -> Weights:
    """How often each calibration model is drawn; the observed sample as the first row."""
    rng = np.random.Generator(np.random.PCG64([plan.seed, models]))
    drawn = rng.integers(0, max(models, 1), size=(plan.resamples, models))
    copies = np.zeros((1 + plan.resamples, models), dtype=np.int16)
    copies[0] = 1
    for model in range(models):
        copies[1:, model] = (drawn == model).sum(axis=1)
    return copies


@dataclass(frozen=True)
class _Estimate:
    """One quantity of a model, the observed sample first, resamples after it.

    Attributes:
        n: judged cells, of the first intervention for a difference.
        cells: calibration cells, likewise.
        plain: as judged.
        better: as corrected, by method.
        truth: the reference's own value, NaN where it did not label the model in full.
        counted: of the event; None for a difference.
    """

    n: int
    cells: int
    plain: Draws
    better: dict[str, Draws]
    truth: float
    counted: Tally | None

    def __sub__(self, other: "_Estimate") -> "_Estimate":
        better = {method: self.better[method] - other.better[method] for method in METHODS}
        plain, truth = self.plain - other.plain, self.truth - other.truth
        return _Estimate(self.n, self.cells, plain, better, truth, None)


def _of_model(
    judged: Grid,
    at: int,
    calibration: Calibration,
    weights: tuple[Weights, Weights],
    study: Study,
) -> Iterator[dict[str, Field]]:
    model, plan = judged.models[at], study.analysis
    interventions = corrected_interventions(judged, study)
    held_out = calibration.covers(judged, at, interventions)
    found = {
        name: _estimate(judged, at, (name, number), calibration, weights, plan, held_out=held_out)
        for number, name in enumerate(interventions)
        if judged.present(at, name)
    }
    gap = headline_gap(study)
    if gap is not None and {gap.a, gap.b} <= found.keys():
        found[DELTA] = found[gap.a] - found[gap.b]
    for method in METHODS:
        for name, estimate in found.items():
            rates = estimate.better[method]
            low, high = percentile_interval(rates[1:], plan.confidence)
            known = not math.isnan(rates[0])
            yield {
                "model": model.name,
                "size": model.size,
                "stage": model.stage,
                "judge": judged.judge,
                "reference": calibration.reference.judge,
                "method": method,
                "quantity": name,
                "n": estimate.n,
                "calibration": OTHER_MODELS if held_out else LABELLED,
                "calibration_n": estimate.cells,
                "as_judged": points_text(estimate.plain[0]),
                "corrected": points_text(rates[0]),
                "low": points_text(low) if known else None,
                "high": points_text(high) if known else None,
                "undefined": points_text(float(np.isnan(rates[1:]).mean())),
                "reference_value": points_text(estimate.truth),
                **_power(estimate.counted, plan.confidence),
            }


def _estimate(
    judged: Grid,
    at: int,
    intervention: tuple[str, int],
    calibration: Calibration,
    weights: tuple[Weights, Weights],
    plan: Analysis,
    *,
    held_out: bool,
) -> _Estimate:
    """A model's rate under one intervention (name and number), as judged and as corrected."""
    model, (name, number) = judged.models[at].name, intervention
    labels = judged.of(at, name)
    pairs = calibration.pairs(name, model if held_out else None)
    draws = (*weights, _model_weights(len(pairs), plan))
    code = judged.code(judged.scale.event)
    hits = tally(labels, pairs, draws, lambda given: given == code)
    kept = tally(labels, pairs, draws, judged.valid)
    rng = np.random.Generator(np.random.PCG64([plan.seed, at, number]))
    varied = vary_errors(vary_unanimous(hits, rng), rng)
    varied_kept = vary_errors(kept, rng)
    better = {
        method: np.clip(divide(estimate(varied), estimate(varied_kept)), 0, 1)
        for method, estimate in METHODS.items()
    }
    place = calibration.reference.index(model) if held_out else None
    truth = calibration.reference.counted(place, name).rate if place is not None else math.nan
    plain = divide(hits.yes, kept.yes)
    return _Estimate(int(hits.n[0]), int(hits.cells[0]), plain, better, truth, hits)


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
            row[name] = points_text(part / whole)
            row[f"{name}_low"], row[f"{name}_high"] = (points_text(bound) for bound in interval)
    return row
