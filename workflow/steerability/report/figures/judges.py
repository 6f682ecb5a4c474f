"""The gap of every model under every judge."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from steerability.report.figures.style import COLUMN, FAINT, mark, number, roomy, whiskers, wrap
from steerability.report.tables.table1 import Row

# Okabe and Ito's palette without the two hues that stand for pro and anti
_COLOURS = ("#000000", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6E6E6E")
_MARKERS = ("o", "s", "D", "^", "v", "P")


def draw(
    tables: Mapping[str, Sequence[Row]],
    names: dict[str, str],
    notes: Mapping[str, str],
    level: str,
) -> Figure:
    """Draw the gap with its bootstrap interval, one mark per judge.

    Args:
        tables: Table 1's rows by judge.
        names: model's name to the name the figure writes.
        notes: a judge's note goes into the legend and its marks are hollow.
        level: what the intervals are called, from ``style.interval_name``.
    """
    models = list(dict.fromkeys(str(row["model"]) for rows in tables.values() for row in rows))
    step = min(0.22, 0.7 / len(tables))
    figure = Figure(
        figsize=(COLUMN, 0.75 + 0.18 * len(tables) + len(models) * (0.14 + 0.13 * len(tables)))
    )
    axes = figure.subplots()
    axes.axvline(0, color="#6E6E6E", linewidth=0.6)
    for order, (judge, rows) in enumerate(tables.items()):
        colour = _COLOURS[order % len(_COLOURS)]
        look = _MARKERS[order % len(_MARKERS)], colour
        face = "white" if judge in notes else None
        label = f"{judge}: {notes[judge]}" if judge in notes else judge
        shift = (order - (len(tables) - 1) / 2) * step
        for row in rows:
            gap = number(row, "delta")
            if gap is None:
                continue
            bounds = number(row, "delta_low"), number(row, "delta_high")
            whiskers(axes, gap, models.index(str(row["model"])) + shift, bounds, *look, face)
        mark(axes, *look, wrap(label, 56), face)
    for at in range(1, len(models)):
        axes.axhline(at - 0.5, color=FAINT, linewidth=0.5)
    axes.set_yticks(range(len(models)), [names[model] for model in models])
    axes.set_ylim(len(models) - 0.5, -0.5)
    roomy(axes)
    axes.set_xlabel(f"Δ, points ({level})")
    figure.legend(loc="outside upper left", ncols=1 if notes else min(3, len(tables)))
    return figure
