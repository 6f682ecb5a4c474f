"""Rates of the event by category and model, one panel per intervention."""

import re

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from steerability.protocol.task import Task
from steerability.report.figures.context import Drawn
from steerability.report.figures.style import COLUMN, empty, heat_map, plain, wrap
from steerability.report.long_tables import Line, Row, number

_FIELD = 0.37
_LINE = 0.25


def draw(drawn: Drawn, task: Task) -> Figure:
    """Draw heat maps categories x models; a field is shaded by its rate and holds its counts.

    Args:
        drawn: the run.
        task: a labelled task.
    """
    event = drawn.scale(task).event
    rows = [
        row
        for row in drawn.tables.categories
        if (row["task"], row["judge"], row["outcome"]) == (task.name, task.primary_judge, event)
    ]
    categories = list(dict.fromkeys(row["category"] for row in rows))
    lines = drawn.tables.lines(task.name, task.primary_judge)
    shown = drawn.study.design.order(row["intervention"] for row in rows)
    if not (categories and lines):
        return empty(f"no outputs of the task {task.name}")
    width = max(COLUMN, 1.25 + _FIELD * len(lines))
    height = len(shown) * (_LINE * len(categories) + 0.22)
    figure = Figure(figsize=(width, 1.2 + height))
    panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for axes, intervention in zip(panels, shown, strict=True):
        mine = [row for row in rows if row["intervention"] == intervention]
        image = _panel(axes, mine, categories, lines)
        axes.set_title(plain(intervention))
    heads = [wrap(drawn.names[line], 9) for line in lines]
    panels[-1].set_xticks(range(len(lines)), heads, rotation=60)
    bar = figure.colorbar(
        image, ax=list(panels), location="bottom", pad=0.01, aspect=40, shrink=0.8
    )
    bar.set_label(f"{drawn.event(task)}, % of valid outputs")
    bar.outline.set_visible(False)
    return figure


def _panel(axes: Axes, rows: list[Row], categories: list[str], lines: list[Line]) -> AxesImage:
    """Draw one intervention's heat map; a field without a valid output stays white."""
    rates = np.full((len(categories), len(lines)), np.nan)
    counts: dict[tuple[int, int], str] = {}
    column = {(line.model, line.guard): at for at, line in enumerate(lines)}
    for row in rows:
        place = categories.index(row["category"]), column[row["model"], row["guard"]]
        counts[place] = f"{row['count']}/{row['valid']}"
        rate = number(row, "rate")
        if rate is not None:
            rates[place] = rate
    image = heat_map(axes, rates, counts)
    axes.set_yticks(
        range(len(categories)), [wrap(pretty(name), 19) for name in categories], fontsize=7
    )
    return image


def pretty(name: str) -> str:
    """Return an identifier as words."""
    words = name.replace("_", " ").replace("-", " ").strip()
    words = re.sub(r"\bai\b", "AI", words)
    return words[:1].upper() + words[1:]
