"""Differences of differences: a shift on scenarios minus the shift on their benign twins."""

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple, TypeVar

from steerability.config.study import Study
from steerability.estimate.choice_grid import MEASURES, ChoiceGrid, mean_difference
from steerability.estimate.choice_table import mean_fields
from steerability.estimate.contrast import difference_of_shifts
from steerability.estimate.contrast_table import BOOTSTRAP, Found
from steerability.estimate.grid import Grid, Model
from steerability.estimate.rates import nats_text, percent_text, points_text
from steerability.estimate.resampling import Resamplings
from steerability.protocol.design import SHIFT, Contrast

GridT = TypeVar("GridT", Grid, ChoiceGrid)


class Twins(NamedTuple):
    """A model's grids of the scenarios and of their twins, over the scenarios of both."""

    model: Model
    scenarios: Grid | ChoiceGrid
    twins: Grid | ChoiceGrid


def differences_of_differences(
    grids: Sequence[Grid],
    choices: Sequence[ChoiceGrid],
    study: Study,
    resamplings: Resamplings,
) -> Iterator[Found]:
    """Return shifts on scenarios minus the same shifts on their benign twins.

    There is one wherever the run has a task on the scenarios and one on the twins of the same
    suite and measure. Scenarios are paired by their ids; of labels each task's primary judge
    counts, and each task's own event. The column ``task`` is ``TASK-TWINTASK``.

    Args:
        grids: every grid of labels, the primary judge's first within a task and guard.
        choices: every grid of log-odds.
        study: the run's tasks and roles.
        resamplings: the run's draws.
    """
    primary: dict[tuple[str, str], Grid] = {}
    for grid in grids:
        primary.setdefault((grid.task, grid.guard), grid)
    chosen = {(grid.task, grid.guard): grid for grid in choices}
    for one in study.tasks:
        for other in study.tasks:
            sides = (one.side, other.side) == ("scenarios", "twins")
            if not sides or (one.suite, one.measure) != (other.suite, other.measure):
                continue
            yield from _of_labels(*_paired(primary, one.name, other.name), study, resamplings)
            yield from _of_choices(*_paired(chosen, one.name, other.name), study, resamplings)


def _paired(
    grids: dict[tuple[str, str], GridT], one: str, other: str
) -> tuple[list[GridT], list[GridT]]:
    """The grids of two tasks behind the same guards, over the scenarios of both."""
    guards = [guard for task, guard in grids if task == one and (other, guard) in grids]
    left, right = [], []
    for guard in guards:
        a, b = grids[one, guard], grids[other, guard]
        there = set(b.scenarios)
        shared = tuple(name for name in a.scenarios if name in there)
        if shared:
            left.append(a.of_scenarios(shared))
            right.append(b.of_scenarios(shared))
    return left, right


def _contrasts(one: Grid | ChoiceGrid, other: Grid | ChoiceGrid, study: Study) -> list[Contrast]:
    both = [name for name in one.interventions if name in other.interventions]
    return list(study.design.contrasts(both))


def _joined(a: str, b: str) -> str:
    return a if a == b else f"{a}-{b}"


def _of_labels(
    left: Sequence[Grid], right: Sequence[Grid], study: Study, resamplings: Resamplings
) -> Iterator[Found]:
    plan = study.analysis
    for one, other in zip(left, right, strict=True):
        draws = resamplings.of(one.categories)
        for at, model in enumerate(one.models):
            there = other.index(model.name)
            for contrast in _contrasts(one, other, study) if there is not None else ():
                assert there is not None
                difference = difference_of_shifts((one, at), (other, there), contrast.a, contrast.b)
                exact = difference.estimate()
                if math.isnan(exact):
                    continue
                low, high = difference.interval(draws.weights, plan.confidence)
                shifts = [
                    _shift(grid, place, contrast) for grid, place in ((one, at), (other, there))
                ]
                more, less = difference.directions
                wanted = 1.0 if contrast.name != SHIFT else exact
                usable = (difference.left.among > 0) & (difference.right.among > 0)
                pairs = int(usable.all(axis=0).sum())
                against = less if wanted > 0 else more
                yield Found(
                    f"{one.task}-{other.task}",
                    model,
                    one.guard,
                    _joined(one.judge, other.judge),
                    _joined(one.scale.event, other.scale.event),
                    contrast,
                    exact,
                    difference.permutation_p(draws.swaps),
                    {
                        "n": difference.n,
                        "estimate": points_text(exact),
                        "unrounded": points_text(exact),
                        "low": points_text(low),
                        "high": points_text(high),
                        "interval": None if math.isnan(low) else BOOTSTRAP,
                        "pairs": pairs,
                        "only_a": more,
                        "only_b": less,
                        "share_against": percent_text(Fraction(against, pairs))
                        if pairs and wanted
                        else None,
                        "value_a": points_text(shifts[0]),
                        "value_b": points_text(shifts[1]),
                    },
                )


def _shift(grid: Grid, model: int, contrast: Contrast) -> float:
    return grid.counted(model, contrast.a).rate - grid.counted(model, contrast.b).rate


def _of_choices(
    left: Sequence[ChoiceGrid],
    right: Sequence[ChoiceGrid],
    study: Study,
    resamplings: Resamplings,
) -> Iterator[Found]:
    plan = study.analysis
    for one, other in zip(left, right, strict=True):
        draws = resamplings.of(one.categories)
        names = [model.name for model in other.models]
        for at, model in enumerate(one.models):
            if model.name not in names:
                continue
            there = names.index(model.name)
            for contrast in _contrasts(one, other, study):
                for measure in MEASURES:
                    shifts = [
                        grid.values(place, contrast.a, measure).minus(
                            grid.values(place, contrast.b, measure)
                        )
                        for grid, place in ((one, at), (other, there))
                    ]
                    between = shifts[0].minus(shifts[1])
                    if not between.n:
                        continue
                    result = mean_difference(between, draws.weights, draws.swaps, plan.confidence)
                    means = [nats_text(shift.over(between.known).mean) for shift in shifts]
                    yield Found(
                        f"{one.task}-{other.task}",
                        model,
                        one.guard,
                        "",
                        measure,
                        contrast,
                        result.estimate,
                        result.p,
                        mean_fields(contrast, result) | {"value_a": means[0], "value_b": means[1]},
                    )
