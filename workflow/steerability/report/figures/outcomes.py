"""Shares of the labels per model and intervention."""

from matplotlib.figure import Figure

from steerability.protocol.task import Task
from steerability.report.figures.context import Drawn
from steerability.report.figures.style import (
    COLUMN,
    empty,
    legible,
    outcome_colours,
    outcome_words,
    plain,
)
from steerability.report.long_tables import Row

_GAP = 0.7
_HATCHES = frozenset("/\\|-+xXoO.*")


def draw(drawn: Drawn, task: Task) -> Figure:
    """Draw one stacked bar per model and intervention, over all outputs.

    Args:
        drawn: the run.
        task: a labelled task.
    """
    scale = drawn.scale(task)
    places: list[float] = []
    ticks: list[str] = []
    heads: dict[str, float] = {}
    counts: list[dict[str, Row | None]] = []
    at = 0.0
    for line in drawn.tables.lines(task.name, task.primary_judge):
        at += _GAP
        heads[drawn.names[line]] = at
        at += 0.95
        for intervention in drawn.tables.interventions(drawn.study, task.name):
            bar = {
                label: drawn.tables.rate(task, line, intervention, label) for label in scale.labels
            }
            if any(bar.values()):
                counts.append(bar)
                places.append(at)
                ticks.append(plain(intervention))
                at += 1
    if not places:
        return empty(f"no outputs of the task {task.name}")
    figure = Figure(figsize=(COLUMN, 0.95 + 0.175 * at))
    axes = figure.subplots()
    left = [0.0] * len(places)
    colours = outcome_colours(scale)
    for label in scale.labels:
        widths = [_share(bar[label]) for bar in counts]
        if not any(widths):
            continue
        axes.barh(
            places,
            widths,
            left=left,
            height=0.8,
            color=colours[label],
            hatch="".join(c for c in scale.outcome(label).hatch if c in _HATCHES) or None,
            edgecolor="white",
            linewidth=0.4,
            label=legible(plain(outcome_words(scale, label))),
        )
        left = [a + b for a, b in zip(left, widths, strict=True)]
    for name, head in heads.items():
        axes.text(0, head, name, va="center", fontweight="bold")
    axes.set_yticks(places, ticks)
    axes.set_ylim(at - 0.3, 0.1)
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of all outputs, %")
    axes.spines["left"].set_visible(False)
    figure.legend(loc="outside upper left", ncols=2)
    return figure


def _share(row: Row | None) -> float:
    """Per cent of all outputs; the table's own rate is of the valid ones where that applies."""
    return 100 * int(row["count"]) / int(row["n"]) if row and int(row["n"]) else 0.0
