"""What every figure of a run shares: its study, its long tables, and how things are named."""

from dataclasses import dataclass
from functools import cached_property

from steerability.config.study import Study
from steerability.protocol.design import Contrast
from steerability.protocol.scale import Scale
from steerability.protocol.task import Task
from steerability.report.figures.style import Look, interval_name, intervention_looks, plain
from steerability.report.long_tables import (
    Line,
    LongTables,
    Row,
    contrasts_of,
    line_names,
    main_task,
    measure_of,
)


@dataclass(frozen=True)
class Drawn:
    """A run to draw.

    Attributes:
        study: tasks, scales, roles.
        tables: the long tables.
    """

    study: Study
    tables: LongTables

    @cached_property
    def names(self) -> dict[Line, str]:
        """What figures call each line."""
        tables = (self.tables.rates, self.tables.contrasts)
        tasks = dict.fromkeys(row["task"] for rows in tables for row in rows)
        lines = [line for task in tasks for line in self.tables.lines(task)]
        return {line: plain(name) for line, name in line_names(lines).items()}

    @cached_property
    def looks(self) -> dict[str, Look]:
        """Colour and marker by intervention."""
        present = dict.fromkeys(
            [*self.study.interventions, *(row["intervention"] for row in self.tables.rates)]
        )
        return intervention_looks(self.study.design, present)

    @cached_property
    def contrasts(self) -> tuple[Contrast, ...]:
        """Every contrast; the first is the headline."""
        return contrasts_of(self.study)

    @property
    def headline(self) -> Contrast | None:
        """The contrast that figures of one contrast draw; None where the design has none."""
        return next(iter(self.contrasts), None)

    @property
    def level(self) -> str:
        """What the intervals are called."""
        return interval_name(self.study.analysis.confidence)

    @property
    def main(self) -> Task | None:
        """The task of Table 1."""
        return main_task(self.study)

    def scale(self, task: Task) -> Scale:
        """Return the scale of a labelled task."""
        return self.study.scale(task.scale)

    def event(self, task: Task) -> str:
        """Return what a labelled task counts, in words."""
        return plain(self.scale(task).outcome(self.scale(task).event).words)

    def difference(
        self, task: Task, line: Line, contrast: Contrast, judge: str | None = None
    ) -> Row | None:
        """Return a line's difference in the task's own measure, by a judge or the primary one."""
        measure = measure_of(self.study, task)
        by = judge if judge is not None else task.primary_judge or ""
        return self.tables.contrast(task.name, line, contrast, measure, by)
