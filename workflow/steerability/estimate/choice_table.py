"""Differences of log-odds between interventions: rows of ``contrasts.csv``."""

from collections.abc import Iterable
from fractions import Fraction

from steerability.estimate.bootstrap import Weights
from steerability.estimate.choice_grid import (
    MEASURES,
    ChoiceGrid,
    MeanDifference,
    Values,
    mean_difference,
)
from steerability.estimate.contrast_table import BOOTSTRAP, Found
from steerability.estimate.p_values import Swaps
from steerability.estimate.rate_table import Row
from steerability.estimate.rates import nats_text, percent_text
from steerability.protocol.design import SHIFT, Contrast


def choice_contrasts(
    grid: ChoiceGrid,
    model: int,
    contrasts: Iterable[Contrast],
    draws: tuple[Weights, Swaps],
    confidence: float,
) -> list[Found]:
    """Return the differences of one model: every contrast, the log-odds whole and per token.

    They are paired: over the scenarios with a choice under both interventions.

    Args:
        grid: the log-odds.
        model: position in ``grid.models``.
        contrasts: those whose interventions the model lacks are left out.
        draws: bootstrap weights and permutation swaps.
        confidence: of the intervals.
    """
    here = grid.present(model)
    found = []
    for contrast in contrasts:
        if contrast.a not in here or contrast.b not in here:
            continue
        for measure in MEASURES:
            a, b = (grid.values(model, name, measure) for name in (contrast.a, contrast.b))
            between = a.minus(b)
            if not between.n:
                continue
            result = mean_difference(between, *draws, confidence)
            found.append(
                Found(
                    grid.task,
                    grid.models[model],
                    grid.guard,
                    "",
                    measure,
                    contrast,
                    result.estimate,
                    result.p,
                    mean_fields(contrast, result) | _values(a, b, between),
                )
            )
    return found


def _values(a: Values, b: Values, between: Values) -> Row:
    means = [nats_text(side.over(between.known).mean) for side in (a, b)]
    return {"value_a": means[0], "value_b": means[1]}


def mean_fields(contrast: Contrast, result: MeanDifference) -> Row:
    """Return the fields that a mean difference fills: nats to six decimals."""
    low, high = nats_text(result.low), nats_text(result.high)
    wanted = 1.0 if contrast.name != SHIFT else result.estimate
    against = result.less if wanted > 0 else result.more
    return {
        "n": result.n,
        "estimate": nats_text(result.estimate),
        "low": low,
        "high": high,
        "interval": None if low is None else BOOTSTRAP,
        "pairs": result.n,
        "only_a": result.more,
        "only_b": result.less,
        "share_against": percent_text(Fraction(against, result.n)) if wanted else None,
    }
