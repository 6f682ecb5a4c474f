"""Differences between interventions: the rows of ``contrasts.csv``."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from steerability.estimate.bootstrap import Draws, percentile_interval
from steerability.estimate.grid import Counted, Model
from steerability.estimate.p_values import (
    Swaps,
    holm,
    p_text,
    permutation_p,
    swapped_differences,
)
from steerability.estimate.paired import Pairs, mcnemar, newcombe, pair, wilson_difference
from steerability.estimate.rate_table import Bounds, Row, worst_case
from steerability.estimate.rates import (
    fraction,
    percent_text,
    points_text,
    published_delta,
)
from steerability.estimate.resampled import Resampled
from steerability.protocol.design import SHIFT, Contrast

CONTRAST_COLUMNS = (
    *("task", "model", "contrast", "intervention_a", "intervention_b", "measure", "judge"),
    *("n", "estimate", "low", "high", "p", "size", "stage", "guard", "interval", "unrounded"),
    *("pairs", "paired", "newcombe_low", "newcombe_high", "all", "all_low", "all_high"),
    *("worst_low", "worst_high", "only_a", "only_b", "p_adjusted", "share_against"),
    *("value_a", "value_b"),
)
BOOTSTRAP, NEWCOMBE, WILSON_DIFFERENCE = "bootstrap", "newcombe", "wilson_difference"
_AT_ONCE = 50


@dataclass(frozen=True)
class Found:
    """One difference: what was compared, and its row.

    Attributes:
        task: the column ``task``; of a difference of differences, two names.
        model: the model.
        guard: the guard; empty for none.
        judge: the judge; empty for a choice.
        measure: an outcome, or ``log_odds`` or ``log_odds_per_token``.
        contrast: the two interventions.
        exact: the estimate, unrounded: a share, or nats.
        p: unrounded.
        row: the further fields.
    """

    task: str
    model: Model
    guard: str
    judge: str
    measure: str
    contrast: Contrast
    exact: float
    p: float
    row: Row

    @property
    def family(self) -> tuple[str, str, str]:
        """What Holm's correction is over: the contrasts and models of a task and measure."""
        return self.task, self.measure, self.judge

    def fields(self) -> Row:
        """Return the row of ``contrasts.csv``."""
        return {
            **dict.fromkeys(CONTRAST_COLUMNS),
            "task": self.task,
            "model": self.model.name,
            "size": self.model.size,
            "stage": self.model.stage,
            "guard": self.guard,
            "judge": self.judge,
            "measure": self.measure,
            "contrast": self.contrast.name,
            "intervention_a": self.contrast.a,
            "intervention_b": self.contrast.b,
            "p": p_text(self.p),
            **self.row,
        }


def adjusted(found: Sequence[Found]) -> list[Found]:
    """Return the differences with ``p_adjusted``, by Holm within each family."""
    families: dict[tuple[str, str, str], list[int]] = {}
    for at, one in enumerate(found):
        families.setdefault(one.family, []).append(at)
    after = list(found)
    for places in families.values():
        for at, p in zip(places, holm([found[at].p for at in places]), strict=True):
            after[at] = replace(found[at], row=found[at].row | {"p_adjusted": p_text(p)})
    return after


def share_against(contrast: Contrast, exact: float, pairs: Pairs, *, of_event: bool) -> str | None:
    """Return the share of paired scenarios that move the other way, in per cent.

    The way that is wanted is up for the event where the two have roles, and that of the estimate
    itself otherwise; without one, None.
    """
    wanted = 1.0 if of_event and contrast.name != SHIFT else exact
    if not pairs.n or not wanted or math.isnan(wanted):
        return None
    return percent_text(Fraction(pairs.only_b if wanted > 0 else pairs.only_a, pairs.n))


def label_contrasts(
    resampled: Resampled, contrasts: Iterable[Contrast], swaps: Swaps | None, confidence: float
) -> list[Found]:
    """Return the differences of one model: every contrast, the event first, then other outcomes.

    One sample a scenario: the exact McNemar test. Several: the permutation test over scenarios,
    whose outputs stay together.

    Args:
        resampled: a model's labels and resamples.
        contrasts: those whose interventions the model lacks are left out.
        swaps: of the permutation test; None for one sample a scenario.
        confidence: of the intervals.
    """
    grid, here = resampled.grid, resampled.interventions
    measures = [grid.scale.event, *(name for name in grid.scale.names if name != grid.scale.event)]
    questions = [
        (contrast, measure)
        for contrast in contrasts
        if contrast.a in here and contrast.b in here
        for measure in measures
    ]
    found = [_found(resampled, *question, confidence) for question in questions]
    if swaps is None:
        return found
    p_values = list(_permutation_ps(resampled, found, swaps))
    return [replace(one, p=p) for one, p in zip(found, p_values, strict=True)]


def _found(resampled: Resampled, contrast: Contrast, measure: str, confidence: float) -> Found:
    grid, model = resampled.grid, resampled.model
    a, b = (grid.counted(model, name, measure) for name in (contrast.a, contrast.b))
    rates = [fraction(*side.totals) for side in (a, b)]
    exact = _minus(*rates)
    pairs = pair(a, b)
    once = grid.samples == 1
    value = math.nan if exact is None else float(exact)
    of_event = measure == grid.scale.event
    row: Row = {
        "n": int(((a.among > 0) | (b.among > 0)).sum()),
        "estimate": _text(published_delta(*rates)),
        "unrounded": percent_text(exact),
        "value_a": percent_text(rates[0]),
        "value_b": percent_text(rates[1]),
        "share_against": share_against(contrast, value, pairs, of_event=of_event),
        **_pairs(a, b, pairs, confidence, once=once),
        **_intervals(resampled, contrast, measure, confidence),
    }
    if of_event:
        row |= _worst(resampled, contrast)
    p = mcnemar(pairs.only_a, pairs.only_b) if pairs.n and once else math.nan
    return Found(
        grid.task, grid.models[model], grid.guard, grid.judge, measure, contrast, value, p, row
    )


def _pairs(a: Counted, b: Counted, pairs: Pairs, confidence: float, *, once: bool) -> Row:
    both = (a.among > 0) & (b.among > 0)
    paired = a.where(both).rate - b.where(both).rate
    bounds = (newcombe(pairs, confidence) if once else None) or (math.nan, math.nan)
    return {
        "pairs": pairs.n,
        "paired": points_text(paired),
        "newcombe_low": points_text(bounds[0]),
        "newcombe_high": points_text(bounds[1]),
        "only_a": pairs.only_a,
        "only_b": pairs.only_b,
    }


def _intervals(resampled: Resampled, contrast: Contrast, measure: str, confidence: float) -> Row:
    """The difference over all outputs, and the intervals over valid and over all outputs."""
    row: Row = {}
    for prefix, over_all in (("", False), ("all_", True)):
        a, b = (
            resampled.grid.counted(resampled.model, name, measure, over_all=over_all)
            for name in (contrast.a, contrast.b)
        )
        draws = [
            resampled.draws(name, measure, over_all=over_all) for name in (contrast.a, contrast.b)
        ]
        drawn = draws[0] - draws[1]
        bounds = difference_bounds(a, b, drawn, resampled.grid.samples, confidence)
        row |= {f"{prefix}low": bounds.texts[0], f"{prefix}high": bounds.texts[1]}
        if over_all:
            row["all"] = percent_text(_minus(fraction(*a.totals), fraction(*b.totals)))
        else:
            row["interval"] = bounds.method or None
    return row


def difference_bounds(
    a: Counted, b: Counted, draws: Draws, samples: int, confidence: float
) -> Bounds:
    """Return the interval of a difference of two rates, over the outputs of the estimate.

    It is the paired bootstrap's. Where every resample agrees its width of zero would claim a
    certainty that is not there; the interval is then Newcombe's of the paired table where that
    holds every output of the estimate, and else Newcombe's of two independent proportions. Of
    several samples the latter counts scenarios in place of outputs.

    Args:
        a: counts by scenario, shape (scenarios,).
        b: those of the rate that is subtracted.
        draws: the difference in every resample.
        samples: replies to each request.
        confidence: of the interval.
    """
    low, high = percentile_interval(draws, confidence)
    if not math.isnan(low):
        return Bounds(low, high, BOOTSTRAP)
    if samples == 1:
        pairs = pair(a, b)
        if pairs.n == a.totals[1] == b.totals[1] and (whole := newcombe(pairs, confidence)):
            return Bounds(*whole, NEWCOMBE)
    apart = wilson_difference(_by_scenario(a), _by_scenario(b), confidence)
    return Bounds(*apart, WILSON_DIFFERENCE) if apart else Bounds(math.nan, math.nan, "")


def _by_scenario(counted: Counted) -> tuple[float, float]:
    """A rate's part and whole as if the outputs of a scenario were one."""
    part, whole = counted.totals
    scenarios = int((counted.among > 0).sum())
    return (part * scenarios / whole if whole else 0.0), scenarios


def _worst(resampled: Resampled, contrast: Contrast) -> Row:
    a, b = (worst_case(resampled.grid, resampled.model, name) for name in (contrast.a, contrast.b))
    if a is None or b is None:
        return {}
    return {"worst_low": percent_text(a[0] - b[1]), "worst_high": percent_text(a[1] - b[0])}


def _permutation_ps(resampled: Resampled, found: Sequence[Found], swaps: Swaps) -> Iterator[float]:
    grid, model = resampled.grid, resampled.model
    for start in range(0, len(found), _AT_ONCE):
        some = found[start : start + _AT_ONCE]
        left, right = (
            Counted.stack([grid.counted(model, name, measure) for name, measure in side])
            for side in (
                [(one.contrast.a, one.measure) for one in some],
                [(one.contrast.b, one.measure) for one in some],
            )
        )
        permuted = swapped_differences(left, right, swaps)
        yield from (permutation_p(row, one.exact) for row, one in zip(permuted, some, strict=True))


def _minus(a: Fraction | None, b: Fraction | None) -> Fraction | None:
    return None if a is None or b is None else a - b


def _text(value: object) -> str | None:
    return None if value is None else str(value)
