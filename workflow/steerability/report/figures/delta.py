"""Forest plot of the headline contrast: ours with its interval, the published one beside it."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from steerability.protocol.task import Task
from steerability.report.figures.context import Drawn
from steerability.report.figures.style import (
    COLUMN,
    INK,
    between_rows,
    empty,
    estimate_lines,
    mark,
    plain,
    roomy,
    whiskers,
)
from steerability.report.long_tables import contrast_title, number

NO_CONTRAST = "no contrast: the design gives no two interventions a role"
_OURS = "#0072B2"
_PUBLISHED = "#D55E00"
_SHIFT = 0.17
_ESTIMATE = ("estimate", "low", "high")


def draw(drawn: Drawn, task: Task, published: Mapping[str, float]) -> Figure:
    """Draw one row per model: the contrast with its interval, the published one as a diamond.

    Args:
        drawn: the run.
        task: a labelled task.
        published: published gap in points by model, for those that have one.
    """
    lines = drawn.tables.lines(task.name, task.primary_judge)
    contrast = drawn.headline
    if contrast is None:
        return empty(NO_CONTRAST)
    if not lines:
        return empty(f"no outputs of the task {task.name}")
    figure = Figure(figsize=(COLUMN, 0.95 + 0.36 * len(lines)))
    axes = figure.subplots()
    title = plain(contrast_title(contrast))
    place = axes.get_yaxis_transform()
    beside = [line.model in published and not line.guard for line in lines]
    for at, line in enumerate(lines):
        row = drawn.difference(task, line, contrast)
        gap = number(row, "estimate")
        if gap is not None:
            bounds = number(row, "low"), number(row, "high")
            whiskers(axes, gap, at + _SHIFT * beside[at], bounds, "o", _OURS)
        if beside[at]:
            known = published[line.model]
            whiskers(axes, known, at - _SHIFT, (None, None), "D", _PUBLISHED, "white")
        words = estimate_lines(row, _ESTIMATE)
        axes.text(1.03, at, words, transform=place, va="center", fontsize=7)
    axes.axvline(0, color=INK, linewidth=0.6)
    between_rows(axes, [drawn.names[line] for line in lines])
    axes.set_xlim(left=min(0.0, axes.get_xlim()[0]))
    roomy(axes)
    axes.set_xlabel(f"{title}, points")
    axes.text(1.03, -0.55, f"{title} ({drawn.level})", transform=place, va="bottom", fontsize=7)
    mark(axes, "o", _OURS, "this run")
    if any(beside):
        mark(axes, "D", _PUBLISHED, "published", "white")
    figure.legend(loc="outside upper left", ncols=2)
    return figure
