"""The labels of one task, guard and judge as arrays: model x intervention x scenario x sample."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from steerability.config.study import Study
from steerability.protocol.scale import JUDGE_FAILED, Scale
from steerability.score.cells import CellRow
from steerability.support.errors import UserError

ABSENT = -1
_CUT = ("length", "context")

Labels = NDArray[np.int8]
Counts = NDArray[np.int64]
T = TypeVar("T")


class Model(NamedTuple):
    """A model as the tables name it."""

    name: str
    size: str
    stage: str


class Counted(NamedTuple):
    """Outputs of an outcome among the outputs that are counted, by scenario.

    Attributes:
        hits: int64, the last axis over scenarios.
        among: int64, the same shape.
    """

    hits: Counts
    among: Counts

    @property
    def totals(self) -> tuple[int, int]:
        """Both summed over scenarios, where there is no other axis."""
        return int(self.hits.sum()), int(self.among.sum())

    @property
    def rate(self) -> float:
        """The share of hits, NaN where nothing is counted."""
        hits, among = self.totals
        return hits / among if among else float("nan")

    def where(self, kept: NDArray[np.bool_]) -> "Counted":
        """Return the counts of some scenarios, 0 in the others."""
        return Counted(np.where(kept, self.hits, 0), np.where(kept, self.among, 0))

    @classmethod
    def stack(cls, parts: Sequence["Counted"]) -> "Counted":
        """Return several counts as rows of one array."""
        return cls(np.stack([p.hits for p in parts]), np.stack([p.among for p in parts]))


@dataclass(frozen=True)
class Grid:
    """One judge's labels in one task, behind one guard.

    Attributes:
        task: the task's name.
        judge: the judge's name.
        guard: the guard's name; empty for none.
        scale: of the labels.
        models: in the order of their first row, as ``scenarios`` are.
        interventions: in the design's order.
        scenarios: scenario ids.
        categories: the category of each scenario.
        labels: int8, shape (models, interventions, scenarios, samples): index into
            ``scale.labels`` or ABSENT.
        cut: int8, same shape: 1 the output stopped at a limit, 0 not, ABSENT where not known.
        thinking_cut: bool, same shape: a thinking output that never closed its thinking.
    """

    task: str
    judge: str
    guard: str
    scale: Scale
    models: tuple[Model, ...]
    interventions: tuple[str, ...]
    scenarios: tuple[str, ...]
    categories: tuple[str, ...]
    labels: Labels
    cut: NDArray[np.int8]
    thinking_cut: NDArray[np.bool_]

    @property
    def samples(self) -> int:
        """Replies to each request."""
        return int(self.labels.shape[3])

    @property
    def category_names(self) -> tuple[str, ...]:
        """The categories in the order of their first scenario."""
        return tuple(dict.fromkeys(self.categories))

    def index(self, name: str) -> int | None:
        """Return the position of a model by name, None where the judge has no labels of it."""
        names = [model.name for model in self.models]
        return names.index(name) if name in names else None

    def code(self, outcome: str) -> int:
        """Return how ``labels`` writes an outcome."""
        return self.scale.labels.index(outcome)

    @cached_property
    def counted_codes(self) -> NDArray[np.bool_]:
        """Which codes are in the denominator of rates: the paper's valid outputs."""
        out = (*self.scale.invalid, JUDGE_FAILED)
        return np.array([name not in out for name in self.scale.labels])

    def valid(self, labels: Labels) -> NDArray[np.bool_]:
        """Return which labels are of valid outputs."""
        kept: NDArray[np.bool_] = (labels != ABSENT) & self.counted_codes[labels]
        return kept

    def of(self, model: int, intervention: str) -> Labels:
        """Return the labels of a model under an intervention, shape (scenarios, samples).

        An intervention that is not there has no outputs: ABSENT throughout.
        """
        if intervention not in self.interventions:
            return np.full(self.labels.shape[2:], ABSENT, dtype=np.int8)
        labels: Labels = self.labels[model, self.interventions.index(intervention)]
        return labels

    def present(self, model: int, intervention: str) -> bool:
        """Say whether the model has an output under the intervention."""
        return bool((self.of(model, intervention) != ABSENT).any())

    def counted(
        self, model: int, intervention: str, outcome: str | None = None, *, over_all: bool = False
    ) -> Counted:
        """Count an outcome by scenario.

        Args:
            model: position in ``models``.
            intervention: its name.
            outcome: an outcome or ``judge_failed``; None: the event.
            over_all: among all outputs in place of valid ones, as an invalid outcome always is.

        Returns:
            Arrays of shape (scenarios,).
        """
        labels = self.of(model, intervention)
        code = self.code(outcome or self.scale.event)
        everything = over_all or not self.counted_codes[code]
        among = labels != ABSENT if everything else self.valid(labels)
        return Counted((labels == code).sum(axis=1), among.sum(axis=1))

    def strata(self) -> list[NDArray[np.intp]]:
        """Return the scenario positions of each category, in ``category_names`` order."""
        of_scenario = np.array(self.categories)
        return [np.flatnonzero(of_scenario == name) for name in self.category_names]

    def of_scenarios(self, names: Sequence[str]) -> "Grid":
        """Return the grid of some scenarios, in the order given."""
        places = {name: at for at, name in enumerate(self.scenarios)}
        kept = [places[name] for name in names]
        return replace(
            self,
            scenarios=tuple(names),
            categories=tuple(self.categories[at] for at in kept),
            labels=self.labels[:, :, kept],
            cut=self.cut[:, :, kept],
            thinking_cut=self.thinking_cut[:, :, kept],
        )


class Axes(NamedTuple):
    """What the grids of one task have in common."""

    models: dict[str, Model]
    interventions: tuple[str, ...]
    categories: dict[str, str]
    samples: int


def grids_of(rows: Sequence[CellRow], study: Study) -> tuple[Grid, ...]:
    """Arrange cells as grids: by task, then guard, then judge, the primary judge first.

    Args:
        rows: cells of any tasks, guards and judges.
        study: the run's tasks, scales and roles.

    Raises:
        UserError: a task is not the study's, a label not its scale's, a scenario is in two
            categories, or a model has two sizes or stages.
    """
    grids: list[Grid] = []
    by_task = _grouped(rows, lambda row: row.task)
    known = {task.name: task for task in study.labelled}
    for name in by_task:
        if name not in known:
            raise UserError(
                f"the run has no task {name} with labels", where="cells", mend="give its study"
            )
    for name, task in known.items():
        if name not in by_task:
            continue
        axes = axes_of(by_task[name], study)
        for behind in _grouped(by_task[name], lambda row: row.guard).values():
            of_judge = _grouped(behind, lambda row: row.judge)
            named = [judge for judge in task.judges if judge in of_judge]
            for judge in dict.fromkeys((*named, *of_judge)):
                grids.append(_grid(of_judge[judge], axes, study.scale(task.scale)))
    return tuple(grids)


def grid_of(
    rows: Sequence[CellRow],
    judge: str,
    study: Study,
    task: str | None = None,
    guard: str | None = None,
) -> Grid:
    """Arrange the rows of one judge.

    Args:
        rows: cells of any tasks, guards and judges.
        judge: whose labels.
        study: the run's tasks, scales and roles.
        task: None: the study's first task with labels.
        guard: None: no guard, or the first one where every cell has one.

    Raises:
        UserError: the judge has no such rows, or the rows do not fit (see ``grids_of``).
    """
    name = task or main_task(study)
    of_task = [row for row in rows if row.task == name]
    guards = dict.fromkeys(row.guard for row in of_task)
    behind = guard if guard is not None else ("" if "" in guards else next(iter(guards), ""))
    mine = [row for row in of_task if row.judge == judge and row.guard == behind]
    if not mine:
        known = ", ".join(dict.fromkeys(row.judge for row in of_task))
        raise UserError(f"no row of the judge {judge}", where="cells", mend=f"choose of: {known}")
    return _grid(mine, axes_of(of_task, study), study.scale(study.task(name).scale))


def main_grids(rows: Sequence[CellRow], study: Study) -> dict[str, Grid]:
    """Return the grids of the first task with labels by judge, the primary judge's first.

    They are of no guard, or of the first one where every cell has one.

    Raises:
        UserError: see ``grids_of``.
    """
    task = main_task(study)
    grids = grids_of([row for row in rows if row.task == task], study)
    guards = dict.fromkeys(grid.guard for grid in grids)
    guard = "" if "" in guards else next(iter(guards), "")
    return {grid.judge: grid for grid in grids if grid.guard == guard}


def main_task(study: Study) -> str:
    """Return the task that Table 1 and the declared tests are of: the first one with labels."""
    if not study.labelled:
        raise UserError("no task has labels", where="--spec", mend="add a task that generates")
    return study.labelled[0].name


def axes_of(rows: Sequence[CellRow], study: Study) -> Axes:
    """Return the axes of one task's grids, from all its rows.

    Raises:
        UserError: a scenario is in two categories, or a model has two sizes or stages.
    """
    return Axes(
        models=one_each(
            "model", ((row.model, Model(row.model, row.size, row.stage)) for row in rows)
        ),
        interventions=study.design.order(row.intervention for row in rows),
        categories=one_each("scenario", ((row.scenario, row.category) for row in rows)),
        samples=1 + max(row.sample for row in rows),
    )


def _grid(rows: Sequence[CellRow], axes: Axes, scale: Scale) -> Grid:
    present = {row.model for row in rows}
    names = [name for name in axes.models if name in present]
    codes = {label: at for at, label in enumerate(scale.labels)}
    for row in rows:
        if row.label not in codes:
            raise UserError(
                f"{row.label} is no outcome of the scale {scale.name}",
                where=f"cells: {row.cell_id}, judge {row.judge}",
                mend=f"one of: {', '.join(scale.labels)}",
            )
    shape = (len(names), len(axes.interventions), len(axes.categories), axes.samples)
    places = tuple(
        {name: at for at, name in enumerate(axis)}
        for axis in (names, axes.interventions, axes.categories)
    )
    at = (
        np.array([places[0][row.model] for row in rows]),
        np.array([places[1][row.intervention] for row in rows]),
        np.array([places[2][row.scenario] for row in rows]),
        np.array([row.sample for row in rows]),
    )
    labels, cut = (np.full(shape, ABSENT, dtype=np.int8) for _ in range(2))
    thinking_cut = np.zeros(shape, dtype=np.bool_)
    labels[at] = [codes[row.label] for row in rows]
    cut[at] = [ABSENT if row.finish_reason is None else row.finish_reason in _CUT for row in rows]
    thinking_cut[at] = [row.thinking_cut for row in rows]
    return Grid(
        task=rows[0].task,
        judge=rows[0].judge,
        guard=rows[0].guard,
        scale=scale,
        models=tuple(axes.models[name] for name in names),
        interventions=axes.interventions,
        scenarios=tuple(axes.categories),
        categories=tuple(axes.categories.values()),
        labels=labels,
        cut=cut,
        thinking_cut=thinking_cut,
    )


def _grouped(rows: Iterable[CellRow], key: Callable[[CellRow], str]) -> Mapping[str, list[CellRow]]:
    groups: dict[str, list[CellRow]] = {}
    for name, run in groupby(rows, key):
        groups.setdefault(name, []).extend(run)
    return groups


def one_each(kind: str, pairs: Iterable[tuple[str, T]]) -> dict[str, T]:
    """Return each name's value.

    Raises:
        UserError: a name has two values.
    """
    known: dict[str, T] = {}
    for name, value in pairs:
        if known.setdefault(name, value) != value:
            raise UserError(
                f"the {kind} {name} is there as {known[name]} and as {value}", where="cells"
            )
    return known
