"""Convergence under pro, no suffix and anti per model, with the gap."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from steerability.estimate.grid import CONDITIONS
from steerability.report.figures.style import (
    COLUMN,
    CONDITION_COLOURS,
    CONDITION_MARKERS,
    CONDITION_NAMES,
    FAINT,
    gap_lines,
    mark,
    number,
    whiskers,
)
from steerability.report.tables.table1 import Row

_OFFSETS = dict(zip(CONDITIONS, (-0.22, 0.0, 0.22), strict=True))


def draw(rows: Sequence[Row], names: Sequence[str], level: str) -> Figure:
    """Draw one line per model: its rates with Wilson intervals, and the gap in figures.

    Args:
        rows: of Table 1.
        names: of the models, as the figure writes them.
        level: what the intervals are called, from ``style.interval_name``.
    """
    figure = Figure(figsize=(COLUMN, 0.95 + 0.44 * len(rows)))
    axes = figure.subplots()
    shown = [c for c in CONDITIONS if any(row[f"{c}_n"] for row in rows)]
    for condition in shown:
        for at, row in enumerate(rows):
            rate = number(row, f"{condition}_convergence")
            if rate is None:
                continue
            bounds = (
                number(row, f"{condition}_convergence_low"),
                number(row, f"{condition}_convergence_high"),
            )
            look = CONDITION_MARKERS[condition], CONDITION_COLOURS[condition]
            whiskers(axes, rate, at + _OFFSETS[condition], bounds, *look)
        look = CONDITION_MARKERS[condition], CONDITION_COLOURS[condition]
        mark(axes, *look, CONDITION_NAMES[condition])
    for at in range(1, len(rows)):
        axes.axhline(at - 0.5, color=FAINT, linewidth=0.5)
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(-2, 102)
    axes.set_xlabel("convergence, % of valid outputs")
    place = axes.get_yaxis_transform()
    axes.text(1.03, -0.55, f"Δ ({level})", transform=place, va="bottom", fontsize=7)
    for at, row in enumerate(rows):
        axes.text(1.03, at, gap_lines(row), transform=place, va="center", fontsize=7)
    figure.legend(loc="outside upper left", ncols=len(shown))
    return figure
