"""The cells of one judge as arrays: model x intervention x scenario."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from steerability.protocol.records import JUDGE_FAILED, LABELS
from steerability.score.cells import CellRow
from steerability.support.errors import UserError

ALL_LABELS: tuple[str, ...] = (*LABELS, JUDGE_FAILED)
CONVERGENCE = ALL_LABELS.index("convergence")
REFUSAL = ALL_LABELS.index("safety_refusal")
NONSENSICAL = ALL_LABELS.index("nonsensical")
FAILED = ALL_LABELS.index(JUDGE_FAILED)
ABSENT = -1
CONDITIONS = ("pro", "none", "anti")

T = TypeVar("T")


class Model(NamedTuple):
    """A model as the tables name it."""

    name: str
    size: str
    stage: str


@dataclass(frozen=True)
class Grid:
    """One judge's labels.

    Attributes:
        judge: the judge's name.
        models: in the order of their first row, as ``conditions``, ``scenarios`` are.
        conditions: ``pro``, ``none``, ``anti`` first, whichever are present, then further ones.
        scenarios: scenario ids.
        categories: the category of each scenario.
        labels: int8, shape (models, conditions, scenarios): index into ``ALL_LABELS`` or ABSENT.
        cut: int8, same shape: 1 the output stopped at a limit, 0 not, ABSENT where not known.
        thinking_cut: bool, same shape: a thinking output that never closed its thinking.
    """

    judge: str
    models: tuple[Model, ...]
    conditions: tuple[str, ...]
    scenarios: tuple[str, ...]
    categories: tuple[str, ...]
    labels: NDArray[np.int8]
    cut: NDArray[np.int8]
    thinking_cut: NDArray[np.bool_]

    @property
    def category_names(self) -> tuple[str, ...]:
        """The categories in the order of their first scenario."""
        return tuple(dict.fromkeys(self.categories))

    def of(self, model: int, condition: str) -> NDArray[np.int8]:
        """Return the labels of one model under one condition, shape (scenarios,)."""
        if condition not in self.conditions:
            return np.full(len(self.scenarios), ABSENT, dtype=np.int8)
        labels: NDArray[np.int8] = self.labels[model, self.conditions.index(condition)]
        return labels

    def index(self, name: str) -> int | None:
        """Return the position of a model by name, None where the judge has no labels of it."""
        names = [model.name for model in self.models]
        return names.index(name) if name in names else None

    def strata(self) -> list[NDArray[np.intp]]:
        """Return the scenario positions of each category, in ``category_names`` order."""
        of_scenario = np.array(self.categories)
        return [np.flatnonzero(of_scenario == name) for name in self.category_names]


def valid(labels: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Return which labels count in the denominator of rates (paper's valid outputs)."""
    counted: NDArray[np.bool_] = (labels >= 0) & (labels != NONSENSICAL) & (labels != FAILED)
    return counted


def grid_of(rows: Sequence[CellRow], judge: str) -> Grid:
    """Arrange the rows of one judge.

    Raises:
        UserError: the judge has no rows, or a scenario is in two categories, or a model has two
            sizes or stages.
    """
    mine = [row for row in rows if row.judge == judge]
    if not mine:
        known = ", ".join(dict.fromkeys(row.judge for row in rows))
        raise UserError(f"no row of the judge {judge}", where="cells", mend=f"choose of: {known}")
    models = _one_each(
        "model", ((row.model, Model(row.model, row.size, row.stage)) for row in rows)
    )
    categories = _one_each("scenario", ((row.scenario, row.category) for row in rows))
    present = dict.fromkeys(row.model for row in mine)
    names = [name for name in models if name in present]
    found = dict.fromkeys(row.intervention for row in rows)
    conditions = [c for c in CONDITIONS if c in found] + [c for c in found if c not in CONDITIONS]
    scenarios = list(categories)
    shape = (len(names), len(conditions), len(scenarios))
    labels = np.full(shape, ABSENT, dtype=np.int8)
    cut = np.full(shape, ABSENT, dtype=np.int8)
    thinking_cut = np.zeros(shape, dtype=np.bool_)
    place = [{name: at for at, name in enumerate(axis)} for axis in (names, conditions, scenarios)]
    for row in mine:
        at = (place[0][row.model], place[1][row.intervention], place[2][row.scenario])
        labels[at] = ALL_LABELS.index(row.label)
        if row.finish_reason is not None:
            cut[at] = row.finish_reason in ("length", "context")
        thinking_cut[at] = row.thinking_cut
    return Grid(
        judge=judge,
        models=tuple(models[name] for name in names),
        conditions=tuple(conditions),
        scenarios=tuple(scenarios),
        categories=tuple(categories.values()),
        labels=labels,
        cut=cut,
        thinking_cut=thinking_cut,
    )


def _one_each(kind: str, pairs: Iterable[tuple[str, T]]) -> dict[str, T]:
    known: dict[str, T] = {}
    for name, value in pairs:
        if known.setdefault(name, value) != value:
            raise UserError(
                f"the {kind} {name} is there as {known[name]} and as {value}", where="cells"
            )
    return known
