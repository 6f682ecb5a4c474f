"""Which columns Table 1 has: built of the names of interventions and outcomes of a task."""

from collections.abc import Sequence
from dataclasses import dataclass

from steerability.config.study import Study
from steerability.protocol.design import DELTA, Contrast, Design
from steerability.protocol.scale import BEHAVIOUR, Scale
from steerability.protocol.task import Task
from steerability.support.errors import UserError

KEYS = ("model", "size", "stage", "judge")
_DETAIL = ("failed", "cut_off", "thinking_cut")
_ENDS = ("low", "high", "exact_low", "exact_high")
GAP_DETAIL = (
    *("low", "high", "interval", "unrounded", "pairs", "paired", "newcombe_low", "newcombe_high"),
    *("all", "all_low", "all_high", "worst_low", "worst_high"),
)
# the published table's columns of its scale: outcome -> (rate, count); the others have none
_PUBLISHED = {
    "convergence": ("convergence", "converged"),
    "safety_refusal": ("refusal", "refused"),
    "nonsensical": ("nonsensical", "nonsense"),
}


@dataclass(frozen=True)
class OutcomeColumns:
    """An outcome and the ends of its columns' names."""

    outcome: str
    rate: str
    count: str


@dataclass(frozen=True)
class Layout:
    """The columns of one task's table.

    Attributes:
        task: the task.
        scale: of its labels.
        design: roles of the interventions that are there.
        interventions: in the design's order.
    """

    task: Task
    scale: Scale
    design: Design
    interventions: tuple[str, ...]

    @property
    def outcomes(self) -> tuple[OutcomeColumns, ...]:
        """The outcomes that have columns, the event first."""
        event = self.scale.event
        names = (event, *(name for name in self.scale.names if name != event))
        if self.scale.names == BEHAVIOUR.names:
            return tuple(OutcomeColumns(n, *_PUBLISHED[n]) for n in names if n in _PUBLISHED)
        return tuple(OutcomeColumns(name, name, f"{name}_count") for name in names)

    @property
    def gaps(self) -> dict[str, Contrast]:
        """The headline's contrasts by name: delta and its two parts, those that exist."""
        return {contrast.name: contrast for contrast in self.design.headline}

    @property
    def headline(self) -> tuple[str, ...]:
        """The first intervention of each role: amplify, suppress, baseline; those that exist."""
        base = (self.design.baseline,) if self.design.baseline else ()
        return (*self.design.amplify[:1], *self.design.suppress[:1], *base)

    def rates(self, intervention: str) -> tuple[str, ...]:
        """Return an intervention's first columns: outputs, valid ones, rates."""
        ends = ("n", "valid", *(columns.rate for columns in self.outcomes))
        return tuple(f"{intervention}_{end}" for end in ends)

    def details(self, intervention: str) -> tuple[str, ...]:
        """Return an intervention's further columns: counts, bounds, the other denominator."""
        over_all = f"{self.outcomes[0].rate}_all"
        ends = [*(columns.count for columns in self.outcomes), *_DETAIL, over_all]
        for rate in (*(columns.rate for columns in self.outcomes), over_all):
            ends += [f"{rate}_{end}" for end in _ENDS]
        return tuple(f"{intervention}_{end}" for end in (*ends, "worst_low", "worst_high"))

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns in order.

        Raises:
            UserError: two would have the same name.
        """
        base = self.design.baseline
        found = list(KEYS)
        for name in self.headline:
            if name != base:
                found += self.rates(name)
        found += [gap for gap in self.gaps if gap == DELTA]
        found += self.rates(base) if base else ()
        found += [gap for gap in self.gaps if gap != DELTA]
        for name in self.interventions:
            if name not in self.headline:
                found += self.rates(name)
        for name in self.interventions:
            found += self.details(name)
        for gap in self.gaps:
            found += [f"{gap}_{end}" for end in GAP_DETAIL]
        twice = {name for name in found if found.count(name) > 1}
        if twice:
            raise UserError(
                f"two columns would be called {min(twice)}",
                where="table1.csv",
                mend="rename the intervention or outcome",
            )
        return tuple(found)


def layout_of(study: Study, task: Task, interventions: Sequence[str]) -> Layout:
    """Return the columns of a task's table.

    Args:
        study: the run's scales and roles.
        task: one with labels.
        interventions: those that the task's labels have.
    """
    design = study.design.among(interventions)
    return Layout(task, study.scale(task.scale), design, design.order(interventions))
