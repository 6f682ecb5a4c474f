"""Rates of the event under every intervention per model, with the headline contrast."""

from matplotlib.figure import Figure

from steerability.protocol.task import Task
from steerability.report.figures.context import Drawn
from steerability.report.figures.style import (
    COLUMN,
    between_rows,
    empty,
    estimate_lines,
    mark,
    plain,
    spread,
    whiskers,
)
from steerability.report.long_tables import contrast_title, number

_APART = 0.22
_ROOM = 0.66
_ESTIMATE = ("estimate", "low", "high")


def draw(drawn: Drawn, task: Task) -> Figure:
    """Draw one row per model: its rates with intervals, and the headline contrast in figures.

    Args:
        drawn: the run.
        task: a labelled task.
    """
    lines = drawn.tables.lines(task.name, task.primary_judge)
    shown = drawn.tables.interventions(drawn.study, task.name)
    if not lines or not shown:
        return empty(f"no outputs of the task {task.name}")
    event = drawn.scale(task).event
    step = min(_APART, _ROOM / len(shown))
    height = max(0.44, 0.13 * len(shown))
    figure = Figure(figsize=(COLUMN, 0.8 + 0.15 * -(-len(shown) // 3) + height * len(lines)))
    axes = figure.subplots()
    for place, intervention in enumerate(shown):
        look = drawn.looks[intervention]
        for at, line in enumerate(lines):
            row = drawn.tables.rate(task, line, intervention, event)
            rate = number(row, "rate")
            if rate is not None:
                y = at + spread(place, len(shown), step)
                whiskers(axes, rate, y, (number(row, "low"), number(row, "high")), *look)
        mark(axes, *look, plain(intervention))
    between_rows(axes, [drawn.names[line] for line in lines])
    axes.set_xlim(-2, 102)
    axes.set_xlabel(f"{drawn.event(task)}, % of valid outputs")
    contrast = drawn.headline
    if contrast is not None:
        beside = axes.get_yaxis_transform()
        title = f"{plain(contrast_title(contrast))} ({drawn.level})"
        axes.text(1.03, -0.55, title, transform=beside, va="bottom", fontsize=7)
        for at, line in enumerate(lines):
            words = estimate_lines(drawn.difference(task, line, contrast), _ESTIMATE)
            axes.text(1.03, at, words, transform=beside, va="center", fontsize=7)
    figure.legend(loc="outside upper left", ncols=min(3, len(shown)))
    return figure
