"""Log-odds of every scenario by intervention: sorted strips, their means, shifts with intervals."""

from collections.abc import Iterable
from math import fsum

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from steerability.protocol.design import Contrast
from steerability.protocol.task import Task
from steerability.report.figures.context import Drawn
from steerability.report.figures.style import (
    COLUMN,
    INK,
    empty,
    estimate_lines,
    plain,
    wrap,
)
from steerability.report.long_tables import Line, number
from steerability.score.choices import ChoiceRow

_ROW = 0.36
_TALL = 0.7


def draw(drawn: Drawn, task: Task, choices: Iterable[ChoiceRow]) -> Figure:
    """Draw one panel per model and one strip per intervention, a dot for every scenario.

    Within a strip dots are sorted from its lower to its upper edge. A bar marks the mean. Where
    the study has a baseline, a whisker shows the interval of the shift from it, set off from the
    baseline's mean, and the shift is written beside; without one there are means alone.

    Args:
        drawn: the run.
        task: a forced choice.
        choices: rows of ``choices.csv``; those of the task are drawn.
    """
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in choices:
        if row.task == task.name:
            of_line = found.setdefault((row.model, row.guard), {})
            of_line.setdefault(row.intervention, []).append(row.log_odds)
    if not found:
        return empty(f"no choices of the task {task.name}")
    shown = drawn.study.design.order(name for of_line in found.values() for name in of_line)
    height = 0.55 + len(found) * (0.3 + _ROW * len(shown))
    figure = Figure(figsize=(COLUMN, height))
    panels = figure.subplots(len(found), 1, sharex=True, squeeze=False)[:, 0]
    lines = {(line.model, line.guard): line for line in drawn.names}
    for axes, (place, strips) in zip(panels, found.items(), strict=True):
        line = lines.get(place, Line(place[0], "", "", place[1]))
        _panel(axes, drawn, task, line, {name: strips.get(name, []) for name in shown})
        axes.set_title(drawn.names.get(line, plain(line.model)), loc="left", fontsize=7.5)
    panels[-1].set_xlabel(f"log-odds of {plain(answer_names(drawn, task)[0])}, nats")
    return figure


def answer_names(drawn: Drawn, task: Task) -> tuple[str, str]:
    """Return what the two answers of a choice are called; log-odds are of the first."""
    return ("doing it", "declining") if task.side == "twins" else ("the event", "the other answer")


def _panel(
    axes: Axes, drawn: Drawn, task: Task, line: Line, strips: dict[str, list[float]]
) -> None:
    axes.axvline(0, color=INK, linewidth=0.6)
    base = drawn.study.design.baseline
    of_base = strips.get(base, []) if base else []
    start = fsum(of_base) / len(of_base) if of_base else None
    place = axes.get_yaxis_transform()
    for at, (name, values) in enumerate(strips.items()):
        if not values:
            continue
        colour = drawn.looks[name].colour
        ranks = np.linspace(at + _TALL / 2, at - _TALL / 2, len(values)) if values[1:] else [at]
        axes.scatter(sorted(values), ranks, s=5, color=colour, alpha=0.55, linewidths=0)
        mean = fsum(values) / len(values)
        axes.plot((mean, mean), (at - 0.36, at + 0.36), color=INK, linewidth=1.6)
        if base and name != base:
            _shift(axes, drawn, task, line, Contrast("", name, base), (at, start))
    if base:
        title = f"shift ({drawn.level})"
        axes.text(1.03, -0.62, title, transform=place, va="bottom", fontsize=6.5)
    axes.set_yticks(range(len(strips)), [wrap(name, 18) for name in strips])
    axes.set_ylim(len(strips) - 0.45, -0.55)


def _shift(
    axes: Axes,
    drawn: Drawn,
    task: Task,
    line: Line,
    contrast: Contrast,
    at: tuple[int, float | None],
) -> None:
    """Write the shift from the baseline, and draw its interval from the baseline's mean on."""
    rows = [
        row
        for row in drawn.tables.steering
        if (row["task"], row["model"], row["guard"], row["intervention"])
        == (task.name, line.model, line.guard, contrast.a)
    ]
    row = rows[0] if rows else None
    words = estimate_lines(row, ("shift", "low", "high"))
    axes.text(1.03, at[0], words, transform=axes.get_yaxis_transform(), va="center", fontsize=6.5)
    low, high = number(row, "low"), number(row, "high")
    if low is not None and high is not None and at[1] is not None:
        ends = (at[1] + low, at[1] + high)
        axes.plot(ends, (at[0], at[0]), color=INK, linewidth=1.6, solid_capstyle="butt")
