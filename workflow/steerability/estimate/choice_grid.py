"""The log-odds of one task's choices as arrays, and mean differences between them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from steerability.config.study import Study
from steerability.estimate.bootstrap import Draws, Weights, blocks, divide, percentile_interval
from steerability.estimate.grid import Model, one_each
from steerability.estimate.p_values import Swaps
from steerability.score.choices import ChoiceRow
from steerability.support.errors import UserError

LOG_ODDS, PER_TOKEN = "log_odds", "log_odds_per_token"
MEASURES = (LOG_ODDS, PER_TOKEN)
UNIT = 1e9
"""Log-odds are held as whole billionths of a nat, so that sums are exact in any order."""

Nanonats = NDArray[np.int64]


class Values(NamedTuple):
    """One value a scenario.

    Attributes:
        nanonats: shape (scenarios,); 0 where there is none.
        known: whether there is one, the same shape.
    """

    nanonats: Nanonats
    known: NDArray[np.bool_]

    def minus(self, other: "Values") -> "Values":
        """Return the differences where both are known."""
        known = self.known & other.known
        return Values(np.where(known, self.nanonats - other.nanonats, 0), known)

    @property
    def n(self) -> int:
        """How many are known."""
        return int(self.known.sum())

    @property
    def mean(self) -> float:
        """Their mean, in nats; NaN where none is known."""
        return int(self.nanonats.sum()) / UNIT / self.n if self.n else math.nan

    def over(self, where: NDArray[np.bool_]) -> "Values":
        """Return those of some scenarios only."""
        return Values(np.where(where, self.nanonats, 0), self.known & where)


@dataclass(frozen=True)
class ChoiceGrid:
    """Log-odds of one task, behind one guard.

    Attributes:
        task: the task's name.
        guard: the guard's name; empty for none.
        models: in the order of their first row, as ``scenarios`` are.
        interventions: in the design's order.
        scenarios: scenario ids.
        categories: the category of each scenario.
        nanonats: by measure, int64, shape (models, interventions, scenarios): the mean over a
            scenario's samples.
        known: whether a scenario has a choice, bool, the same shape.
    """

    task: str
    guard: str
    models: tuple[Model, ...]
    interventions: tuple[str, ...]
    scenarios: tuple[str, ...]
    categories: tuple[str, ...]
    nanonats: Mapping[str, Nanonats]
    known: NDArray[np.bool_]

    def values(self, model: int, intervention: str, measure: str) -> Values:
        """Return the log-odds of a model under an intervention, by scenario."""
        at = self.interventions.index(intervention)
        return Values(self.nanonats[measure][model, at], self.known[model, at])

    def present(self, model: int) -> tuple[str, ...]:
        """Return the interventions under which a model has a choice."""
        return tuple(
            name for at, name in enumerate(self.interventions) if bool(self.known[model, at].any())
        )

    def strata(self) -> list[NDArray[np.intp]]:
        """Return the scenario positions of each category, in the order of their first."""
        of_scenario = np.array(self.categories)
        return [np.flatnonzero(of_scenario == name) for name in dict.fromkeys(self.categories)]

    def of_scenarios(self, names: Sequence[str]) -> "ChoiceGrid":
        """Return the grid of some scenarios, in the order given."""
        places = {name: at for at, name in enumerate(self.scenarios)}
        kept = [places[name] for name in names]
        return replace(
            self,
            scenarios=tuple(names),
            categories=tuple(self.categories[at] for at in kept),
            nanonats={name: held[:, :, kept] for name, held in self.nanonats.items()},
            known=self.known[:, :, kept],
        )


def choice_grids_of(
    rows: Sequence[ChoiceRow], study: Study, models: Mapping[str, Model]
) -> tuple[ChoiceGrid, ...]:
    """Arrange choices as grids: by task, then guard.

    Args:
        rows: choices of any tasks and guards.
        study: the run's tasks and roles.
        models: what tables say of models, where it is known.

    Raises:
        UserError: a task is not one of the study's choices, or a scenario is in two categories.
    """
    by_task: dict[str, dict[str, list[ChoiceRow]]] = {}
    for row in rows:
        by_task.setdefault(row.task, {}).setdefault(row.guard, []).append(row)
    known = [task.name for task in study.chosen]
    for name in by_task:
        if name not in known:
            raise UserError(f"the run has no choice {name}", where="choices")
    return tuple(
        _grid(behind, by_task[name], study, models)
        for name in known
        for behind in by_task.get(name, {}).values()
    )


def _grid(
    rows: Sequence[ChoiceRow],
    of_task: Mapping[str, Sequence[ChoiceRow]],
    study: Study,
    models: Mapping[str, Model],
) -> ChoiceGrid:
    every = [row for behind in of_task.values() for row in behind]
    categories = one_each("scenario", ((row.scenario, row.category) for row in every))
    names = list(dict.fromkeys(row.model for row in rows))
    interventions = study.design.order(row.intervention for row in every)
    shape = (len(names), len(interventions), len(categories))
    places = [{name: at for at, name in enumerate(a)} for a in (names, interventions, categories)]
    at = (
        np.array([places[0][row.model] for row in rows]),
        np.array([places[1][row.intervention] for row in rows]),
        np.array([places[2][row.scenario] for row in rows]),
    )
    samples = np.zeros(shape, dtype=np.int64)
    np.add.at(samples, at, 1)
    nanonats = {}
    for measure in MEASURES:
        sums = np.zeros(shape, dtype=np.int64)
        np.add.at(sums, at, [round(getattr(row, measure) * UNIT) for row in rows])
        means = np.zeros(shape)
        np.divide(sums, samples, out=means, where=samples > 0)
        nanonats[measure] = np.rint(means).astype(np.int64)
    return ChoiceGrid(
        task=rows[0].task,
        guard=rows[0].guard,
        models=tuple(models.get(name, Model(name, "", "")) for name in names),
        interventions=interventions,
        scenarios=tuple(categories),
        categories=tuple(categories.values()),
        nanonats=nanonats,
        known=samples > 0,
    )


def mean_draws(values: Values, weights: Weights) -> Draws:
    """Return the mean in every resample, in nats; NaN where a resample holds no value.

    Args:
        values: one a scenario.
        weights: from ``bootstrap.scenario_weights``.
    """
    sums = whole_sums(weights, values.nanonats)
    counts = whole_sums(weights, values.known.astype(np.int64))
    return divide(sums / UNIT, counts.astype(np.float64))


def whole_sums(matrix: NDArray[np.integer], column: Nanonats) -> Nanonats:
    """Return ``matrix @ column`` in whole numbers, so that no order of additions shows."""
    sums = np.empty(len(matrix), dtype=np.int64)
    for rows in blocks(*matrix.shape):
        part = slice(rows.start, rows.stop)
        sums[part] = matrix[part].astype(np.int64) @ column
    return sums


class MeanDifference(NamedTuple):
    """A mean difference over scenarios, in nats, with its interval and test."""

    n: int
    estimate: float
    low: float
    high: float
    p: float
    more: int
    less: int


def mean_difference(
    differences: Values, weights: Weights, swaps: Swaps, confidence: float
) -> MeanDifference:
    """Return a mean, its percentile bootstrap interval and the p-value of the sign-flip test.

    The test flips the signs of scenarios at random; the observed signs count as one of the
    permutations.
    Source: Good (2005), Permutation, Parametric and Bootstrap Tests, chapter 3.

    Args:
        differences: one a scenario.
        weights: from ``bootstrap.scenario_weights``.
        swaps: 0 or 1, shape (permutations, scenarios), from ``p_values.swap_matrix``.
        confidence: of the interval.
    """
    low, high = percentile_interval(mean_draws(differences, weights), confidence)
    observed = int(differences.nanonats.sum())
    flipped = observed - 2 * whole_sums(swaps, differences.nanonats)
    p = (1 + int((np.abs(flipped) >= abs(observed)).sum())) / (1 + len(swaps))
    return MeanDifference(
        n=differences.n,
        estimate=differences.mean,
        low=low,
        high=high,
        p=p if differences.n else math.nan,
        more=int((differences.nanonats > 0).sum()),
        less=int((differences.nanonats < 0).sum()),
    )
