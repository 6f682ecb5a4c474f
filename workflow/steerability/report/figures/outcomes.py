"""Shares of the four labels per model and intervention."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from steerability.estimate.grid import ALL_LABELS
from steerability.report.figures.style import (
    COLUMN,
    CONDITION_NAMES,
    OUTCOME_COLOURS,
    OUTCOME_HATCHES,
    number,
)
from steerability.report.tables.table1 import Row

_GAP = 0.7


def draw(rows: Sequence[Row], names: dict[str, str]) -> Figure:
    """Draw one stacked bar per model and intervention, over all outputs.

    Args:
        rows: of ``outcomes.csv``, one judge's.
        names: model's name to the name the figure writes.
    """
    places: list[float] = []
    heads: dict[str, float] = {}
    at = 0.0
    for before, row in zip([None, *rows[:-1]], rows, strict=True):
        if before is None or before["model"] != row["model"]:
            at += _GAP
            heads[str(row["model"])] = at
            at += 0.95
        places.append(at)
        at += 1
    figure = Figure(figsize=(COLUMN, 0.95 + 0.175 * at))
    axes = figure.subplots()
    shown = [name for name in ALL_LABELS if any(row[name] for row in rows)]
    left = [0.0] * len(rows)
    for label in shown:
        widths = [number(row, f"{label}_share") or 0.0 for row in rows]
        axes.barh(
            places,
            widths,
            left=left,
            height=0.8,
            color=OUTCOME_COLOURS[label],
            hatch=OUTCOME_HATCHES.get(label),
            edgecolor="white",
            linewidth=0.4,
            label=label.replace("_", " "),
        )
        left = [a + b for a, b in zip(left, widths, strict=True)]
    for model, head in heads.items():
        axes.text(0, head, names[model], va="center", fontweight="bold")
    ticks = [CONDITION_NAMES.get(str(r["intervention"]), str(r["intervention"])) for r in rows]
    axes.set_yticks(places, ticks)
    axes.set_ylim(at - 0.3, 0.1)
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of all outputs, %")
    axes.spines["left"].set_visible(False)
    figure.legend(loc="outside upper left", ncols=2)
    return figure
