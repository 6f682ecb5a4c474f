"""The long tables of a run as reports read them: rows as text, looked up by what they are about."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from steerability.config.study import Study
from steerability.estimate.contrast_table import CONTRAST_COLUMNS
from steerability.estimate.rate_table import RATE_COLUMNS
from steerability.protocol.design import DELTA, Contrast
from steerability.protocol.scale import Scale
from steerability.protocol.task import BEHAVIOUR_TASK, Task
from steerability.support.tables import read_csv

Row = dict[str, str]
LOG_ODDS = "log_odds"
RATE_NUMBERS = ("n", "valid", "count", "rate", "low", "high")
CONTRAST_NUMBERS = (
    *("estimate", "low", "high", "p", "all", "all_low", "all_high", "paired"),
    *("newcombe_low", "newcombe_high", "worst_low", "worst_high", "only_a", "only_b", "pairs"),
    *("p_adjusted", "value_a", "value_b"),
)
STEERING_KEYS = ("task", "model", "intervention", "family", "access", "measure", "judge", "guard")
STEERING_NUMBERS = (
    *("strength", "shift", "low", "high", "controls", "control_rank", "slope", "slope_low"),
    "slope_high",
)
CATEGORY_KEYS = ("task", "model", "intervention", "judge", "category", "outcome", "guard")
CATEGORY_NUMBERS = ("n", "valid", "count", "rate")


class Line(NamedTuple):
    """What stands on one line of a table or figure: a model, behind a guard or none."""

    model: str
    size: str
    stage: str
    guard: str = ""


@dataclass(frozen=True)
class LongTables:
    """The long tables of a run; an absent one has no rows."""

    rates: Sequence[Row] = ()
    contrasts: Sequence[Row] = ()
    steering: Sequence[Row] = ()
    categories: Sequence[Row] = field(default=())

    @cached_property
    def _rates(self) -> dict[tuple[str, ...], Row]:
        keys = ("task", "model", "guard", "intervention", "judge", "outcome")
        return {tuple(row[key] for key in keys): row for row in self.rates}

    @cached_property
    def _contrasts(self) -> dict[tuple[str, ...], Row]:
        keys = ("task", "model", "guard", "intervention_a", "intervention_b", "measure", "judge")
        return {tuple(row[key] for key in keys): row for row in self.contrasts}

    def rate(
        self, task: Task, line: Line, intervention: str, outcome: str, judge: str | None = None
    ) -> Row | None:
        """Return the row of one rate, by the task's primary judge unless another is named."""
        by = judge or task.primary_judge or ""
        return self._rates.get((task.name, line.model, line.guard, intervention, by, outcome))

    def contrast(
        self, task: str, line: Line, contrast: Contrast, measure: str, judge: str = ""
    ) -> Row | None:
        """Return the row of one difference between two interventions."""
        key = (task, line.model, line.guard, contrast.a, contrast.b, measure, judge)
        return self._contrasts.get(key)

    def lines(self, task: str, judge: str | None = None) -> list[Line]:
        """Return the models of a task, behind each of their guards, in the tables' order."""
        found = dict.fromkeys(
            _line(row)
            for rows in (self.rates, self.contrasts)
            for row in rows
            if row["task"] == task and judge in (None, row["judge"])
        )
        return list(found)

    def of_task(self, task: str) -> "LongTables":
        """Return the rates and contrasts of one task, of no guard or of the first."""
        rates = [row for row in self.rates if row["task"] == task]
        guards = dict.fromkeys(row["guard"] for row in rates)
        guard = "" if "" in guards else next(iter(guards), "")
        contrasts = [row for row in self.contrasts if row["task"] == task]
        return LongTables(
            [row for row in rates if row["guard"] == guard],
            [row for row in contrasts if row["guard"] == guard],
        )

    def interventions(self, study: Study, task: str) -> tuple[str, ...]:
        """Return the interventions that a task has rates of, as readers see them."""
        found = dict.fromkeys(row["intervention"] for row in self.rates if row["task"] == task)
        return study.design.order(found)


def _line(row: Row) -> Line:
    return Line(row["model"], row["size"], row["stage"], row["guard"])


def read_long_tables(
    rates: Path | None,
    contrasts: Path | None,
    steering: Path | None = None,
    categories: Path | None = None,
) -> LongTables:
    """Read the tables that verb ``estimate`` writes.

    Raises:
        UserError: one cannot be read, lacks a column, or a number is none.
    """
    return LongTables(
        rates=read_csv(rates, RATE_COLUMNS, RATE_NUMBERS) if rates else (),
        contrasts=read_csv(contrasts, CONTRAST_COLUMNS, CONTRAST_NUMBERS) if contrasts else (),
        steering=read_csv(steering, STEERING_KEYS, STEERING_NUMBERS) if steering else (),
        categories=read_csv(categories, CATEGORY_KEYS, CATEGORY_NUMBERS) if categories else (),
    )


def number(row: Row | None, name: str) -> float | None:
    """Return a field as a number, None where it is empty or the row is not there."""
    text = row.get(name, "") if row else ""
    return float(text) if text else None


def line_names(lines: Iterable[Line]) -> dict[Line, str]:
    """Return what a reader calls each line: size and stage where these tell models apart.

    A guard follows the model's name.
    """
    known = list(dict.fromkeys(lines))
    models = {line.model: f"{line.size} {line.stage}".strip() for line in known}
    short = all(line.size and line.stage for line in known)
    short = short and len(set(models.values())) == len(models)
    return {
        line: (models[line.model] if short else line.model)
        + (f", guard {line.guard}" if line.guard else "")
        for line in known
    }


def main_task(study: Study) -> Task | None:
    """Return the task of Table 1: ``behaviour``, else the first labelled one; None without one."""
    named = [task for task in study.labelled if task.name == BEHAVIOUR_TASK]
    return next(iter((*named, *study.labelled)), None)


def scale_of(study: Study, task: Task) -> Scale:
    """Return the scale that a labelled task's outcomes are of."""
    return study.scale(task.scale)


def measure_of(study: Study, task: Task) -> str:
    """Return what a task's shifts are shifts of: the scale's event, or the log-odds."""
    return LOG_ODDS if task.measure == "choose" else scale_of(study, task).event


def unit_of(measure: str) -> str:
    """Return the unit of a measure's shifts."""
    return "nats" if measure.startswith(LOG_ODDS) else "points"


def contrasts_of(study: Study) -> tuple[Contrast, ...]:
    """Return every contrast of a run; the first is its headline."""
    return study.design.contrasts(study.interventions)


def contrast_title(contrast: Contrast) -> str:
    """Return a contrast for readers: Δ, or the two interventions."""
    return "Δ" if contrast.name == DELTA else f"{contrast.a} \N{MINUS SIGN} {contrast.b}"


def difference_tasks(study: Study, tables: LongTables) -> list[str]:
    """Return the names of differences of differences, which stand in the column ``task``."""
    known = {task.name for task in study.tasks}
    return list(dict.fromkeys(row["task"] for row in tables.contrasts if row["task"] not in known))
