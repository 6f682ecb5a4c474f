"""Convergence by category and model, one panel per intervention."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from steerability.estimate.grid import CONDITIONS
from steerability.report.figures.style import COLUMN, CONDITION_NAMES, heat_map, number, wrap
from steerability.report.tables.table1 import Row

_FIELD = 0.37
_LINE = 0.25


def draw(rows: Sequence[Row], names: Mapping[str, str]) -> Figure:
    """Draw heat maps categories x models; a field is shaded by its rate and holds its counts.

    Args:
        rows: of ``categories.csv``, one judge's.
        names: model's name to the name the figure writes.
    """
    categories = list(dict.fromkeys(str(row["category"]) for row in rows))
    models = list(dict.fromkeys(str(row["model"]) for row in rows))
    shown = [c for c in CONDITIONS if any(row[f"{c}_n"] for row in rows)]
    width = max(COLUMN, 1.25 + _FIELD * len(models))
    lines = len(shown) * (_LINE * len(categories) + 0.22)
    figure = Figure(figsize=(width, 1.2 + lines))
    panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    image = None
    for axes, condition in zip(panels, shown, strict=True):
        image = _panel(axes, rows, condition, categories, models)
        axes.set_title(CONDITION_NAMES[condition])
    heads = [wrap(names[model], 9) for model in models]
    panels[-1].set_xticks(range(len(models)), heads, rotation=60)
    if image is not None:
        bar = figure.colorbar(
            image, ax=list(panels), location="bottom", pad=0.01, aspect=40, shrink=0.8
        )
        bar.set_label("convergence, % of valid outputs")
        bar.outline.set_visible(False)
    return figure


def _panel(
    axes: Axes, rows: Sequence[Row], condition: str, categories: list[str], models: list[str]
) -> AxesImage:
    """Draw one intervention's heat map; a field without a valid output stays white."""
    rates = np.full((len(categories), len(models)), np.nan)
    counts: dict[tuple[int, int], str] = {}
    for row in rows:
        place = categories.index(str(row["category"])), models.index(str(row["model"]))
        counts[place] = f"{row[f'{condition}_converged']}/{row[f'{condition}_valid']}"
        rate = number(row, f"{condition}_convergence")
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
