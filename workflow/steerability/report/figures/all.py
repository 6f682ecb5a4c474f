"""Every figure of a run, drawn and captioned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from matplotlib.figure import Figure

from steerability.protocol.design import DELTA
from steerability.protocol.intervention import Intervention
from steerability.protocol.task import Task
from steerability.report.figures import (
    ablations,
    agreement,
    categories,
    delta,
    flips,
    judges,
    log_odds,
    matrix,
    outcomes,
    rates,
    shifts,
    steering,
)
from steerability.report.figures.captions import (
    log_odds_caption,
    of_agreement,
    run_captions,
    size_of,
    task_captions,
)
from steerability.report.figures.context import Drawn
from steerability.report.figures.names import OF_JUDGES, Named, figures_of
from steerability.report.figures.style import empty, plain
from steerability.report.long_tables import Row
from steerability.score.cells import CellRow
from steerability.score.choices import ChoiceRow

_LONE = "no judge of this run stands beside a reference"
_SURE = "no judge beside the reference gives probabilities"


@dataclass(frozen=True)
class Sources:
    """What figures read besides the long tables; None where the run has no such table.

    Attributes:
        cells: rows of ``cells.csv``.
        choices: rows of ``choices.csv``.
        interventions: by name.
        published: published gap in points by model.
        variants: see ``ablations.draw``.
        agreement: rows of ``agreement.csv``.
        calibration: rows of ``calibration.csv``.
        matrix: rows of ``matrix.csv``.
    """

    cells: Sequence[CellRow] = ()
    choices: Sequence[ChoiceRow] = ()
    interventions: Mapping[str, Intervention] = field(default_factory=dict)
    published: Mapping[str, float] = field(default_factory=dict)
    variants: Mapping[str, Mapping[str, Row]] = field(default_factory=dict)
    agreement: Sequence[Row] | None = None
    calibration: Sequence[Row] | None = None
    matrix: Sequence[Row] | None = None


class Made(NamedTuple):
    """A figure with what is said of it."""

    name: str
    title: str
    caption: str
    figure: Figure


def draw_all(drawn: Drawn, sources: Sources) -> list[Made]:
    """Return the figures of a run, in the order of reading; call it within ``style``.

    Args:
        drawn: the study and its long tables.
        sources: the further tables.
    """
    measured = sources.agreement is not None
    named = figures_of(drawn.study, measured=measured, matrix=sources.matrix is not None)
    sizes = {task.name: size_of(_rows(sources, task), task) for task in drawn.study.tasks}
    return [_made(one, drawn, sources, sizes) for one in named]


def _rows(sources: Sources, task: Task) -> Sequence[CellRow | ChoiceRow]:
    return sources.choices if task.measure == "choose" else sources.cells


def _made(named: Named, drawn: Drawn, sources: Sources, sizes: Mapping[str, str]) -> Made:
    if named.kind in OF_JUDGES:
        return Made(named.name, named.title, *_of_judges(named.kind, drawn, sources))
    if not named.task:
        caption = run_captions(drawn, [f"{task}: {n}" for task, n in sizes.items()])[named.kind]
        return Made(named.name, named.title, caption, _of_run(named.kind, drawn, sources))
    task, size = drawn.study.task(named.task), sizes[named.task]
    if named.kind == "log_odds":
        figure = log_odds.draw(drawn, task, sources.choices)
        return Made(named.name, named.title, log_odds_caption(drawn, task, size), figure)
    beside = any(line.model in sources.published for line in drawn.tables.lines(task.name))
    caption = task_captions(drawn, task, size, published=beside)[named.kind]
    figure = _of_task(named.kind, drawn, task, sources)
    note = drawn.study.notes.get(task.primary_judge or "")
    if note and named.kind != "judges":
        figure.supxlabel(plain(f"judge {task.primary_judge}: {note}"), fontsize=6.5)
    return Made(named.name, named.title, caption, figure)


def _of_task(kind: str, drawn: Drawn, task: Task, sources: Sources) -> Figure:
    if kind == "delta":
        return delta.draw(drawn, task, sources.published if _is_gap(drawn) else {})
    if kind == "ablations":
        return ablations.draw(drawn, task, sources.variants if _is_gap(drawn) else {})
    if kind == "flips":
        return flips.draw(drawn, task, sources.cells)
    draw = {
        "rates": rates.draw,
        "outcomes": outcomes.draw,
        "categories": categories.draw,
        "judges": judges.draw,
    }[kind]
    return draw(drawn, task)


def _is_gap(drawn: Drawn) -> bool:
    """Whether the headline is what the paper and other runs' Table 1 call delta."""
    return drawn.headline is not None and drawn.headline.name == DELTA


def _of_run(kind: str, drawn: Drawn, sources: Sources) -> Figure:
    if kind == "steering":
        return steering.draw(drawn, sources.interventions)
    return matrix.draw(sources.matrix or []) if kind == "matrix" else shifts.draw(drawn)


def _of_judges(kind: str, drawn: Drawn, sources: Sources) -> tuple[str, Figure]:
    rows, curves = sources.agreement or [], sources.calibration or []
    if kind == "agreement":
        figure = agreement.draw_kappa(rows, drawn.looks, drawn.level) if rows else empty(_LONE)
    elif kind == "confusion":
        figure = agreement.draw_confusion(rows) if rows else empty(_LONE)
    else:
        figure = agreement.draw_calibration(curves) if curves else empty(_SURE)
        groups = {(row["judge"], row["evaluation"]) for row in curves}
        rows = [row for row in rows if (row["judge"], row["evaluation"]) in groups]
    return of_agreement(kind, rows), figure
