"""The headline contrast of every model under every judge."""

from matplotlib.figure import Figure

from steerability.protocol.task import Task
from steerability.report.figures.context import Drawn
from steerability.report.figures.delta import NO_CONTRAST
from steerability.report.figures.style import (
    COLUMN,
    between_rows,
    empty,
    mark,
    plain,
    roomy,
    spread,
    whiskers,
    wrap,
)
from steerability.report.long_tables import contrast_title, number

# Okabe and Ito's palette without the two hues of the amplifying and suppressing roles
_COLOURS = ("#000000", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6E6E6E")
_MARKERS = ("o", "s", "D", "^", "v", "P")


def draw(drawn: Drawn, task: Task) -> Figure:
    """Draw the contrast with its interval, one mark per judge.

    A judge's note goes into the legend, and its marks are hollow.

    Args:
        drawn: the run.
        task: a labelled task.
    """
    notes = drawn.study.notes
    contrast = drawn.headline
    by_judge = {judge: drawn.tables.lines(task.name, judge) for judge in task.judges}
    lines = list(dict.fromkeys(line for found in by_judge.values() for line in found))
    if contrast is None:
        return empty(NO_CONTRAST)
    if not lines:
        return empty(f"no outputs of the task {task.name}")
    many = len(by_judge)
    step = min(0.22, 0.7 / many)
    height = 0.75 + 0.18 * many + len(lines) * (0.14 + 0.13 * many)
    figure = Figure(figsize=(COLUMN, height))
    axes = figure.subplots()
    axes.axvline(0, color="#6E6E6E", linewidth=0.6)
    for order, (judge, found) in enumerate(by_judge.items()):
        look = _MARKERS[order % len(_MARKERS)], _COLOURS[order % len(_COLOURS)]
        face = "white" if judge in notes else None
        label = f"{judge}: {notes[judge]}" if judge in notes else judge
        for line in found:
            row = drawn.difference(task, line, contrast, judge)
            gap = number(row, "estimate")
            if gap is not None:
                y = lines.index(line) + spread(order, many, step)
                whiskers(axes, gap, y, (number(row, "low"), number(row, "high")), *look, face)
        mark(axes, *look, wrap(label, 56), face)
    between_rows(axes, [drawn.names[line] for line in lines])
    roomy(axes)
    axes.set_xlabel(f"{plain(contrast_title(contrast))}, points ({drawn.level})")
    figure.legend(loc="outside upper left", ncols=1 if notes else min(3, many))
    return figure
