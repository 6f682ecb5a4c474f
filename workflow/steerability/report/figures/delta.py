"""Forest plot of the gap: ours with its interval, the published one beside it."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from steerability.report.figures.style import (
    COLUMN,
    FAINT,
    INK,
    gap_lines,
    mark,
    number,
    roomy,
    whiskers,
)
from steerability.report.tables.table1 import Row

_OURS = "#0072B2"
_PUBLISHED = "#D55E00"
_SHIFT = 0.17


def draw(
    rows: Sequence[Row], names: Sequence[str], published: Mapping[str, float], level: str
) -> Figure:
    """Draw one line per model: the gap with its bootstrap interval, the published gap as a diamond.

    Args:
        rows: of Table 1.
        names: of the models, as the figure writes them.
        published: published gap in points by model, for those that have one.
        level: what the intervals are called, from ``style.interval_name``.
    """
    figure = Figure(figsize=(COLUMN, 0.95 + 0.36 * len(rows)))
    axes = figure.subplots()
    beside = [row["model"] in published for row in rows]
    for at, row in enumerate(rows):
        gap = number(row, "delta")
        if gap is not None:
            bounds = number(row, "delta_low"), number(row, "delta_high")
            whiskers(axes, gap, at + _SHIFT * beside[at], bounds, "o", _OURS)
        if beside[at]:
            gap = published[str(row["model"])]
            whiskers(axes, gap, at - _SHIFT, (None, None), "D", _PUBLISHED, "white")
        place = axes.get_yaxis_transform()
        axes.text(1.03, at, gap_lines(row), transform=place, va="center", fontsize=7)
    axes.axvline(0, color=INK, linewidth=0.6)
    for at in range(1, len(rows)):
        axes.axhline(at - 0.5, color=FAINT, linewidth=0.5)
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(left=min(0.0, axes.get_xlim()[0]))
    roomy(axes)
    axes.set_xlabel("Δ, points")
    place = axes.get_yaxis_transform()
    axes.text(1.03, -0.55, f"Δ ({level})", transform=place, va="bottom", fontsize=7)
    mark(axes, "o", _OURS, "this run")
    if any(beside):
        mark(axes, "D", _PUBLISHED, "published", "white")
    figure.legend(loc="outside upper left", ncols=2)
    return figure
