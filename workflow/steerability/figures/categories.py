"""Convergence by category and model, one panel per intervention."""

import re
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from steerability.analyse.grid import CONDITIONS
from steerability.analyse.table1 import Row
from steerability.figures.style import CONDITION_NAMES, INK, PAGE, number

_MAP = "Blues"
_DARK = 60.0


def draw(rows: Sequence[Row], names: dict[str, str]) -> Figure:
    """Draw heat maps categories x models; each field holds its rate in per cent.

    Args:
        rows: of ``categories.csv``, one judge's.
        names: model's name to the name the figure writes.
    """
    categories = list(dict.fromkeys(str(row["category"]) for row in rows))
    models = list(dict.fromkeys(str(row["model"]) for row in rows))
    by_place = {(str(row["category"]), str(row["model"])): row for row in rows}
    shown = [c for c in CONDITIONS if any(row[f"{c}_n"] for row in rows)]
    height = 1.0 + 0.3 * len(categories) + 0.045 * max(len(names[m]) for m in models)
    layout = ConstrainedLayoutEngine(h_pad=0.03, w_pad=0.03, wspace=0.02)
    figure = Figure(figsize=(PAGE, height), layout=layout)
    panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    image = None
    for axes, condition in zip(panels, shown, strict=True):
        values = np.full((len(categories), len(models)), np.nan)
        for line, category in enumerate(categories):
            for column, model in enumerate(models):
                row = by_place.get((category, model))
                rate = number(row, f"{condition}_convergence") if row else None
                if row is None or rate is None:
                    axes.text(column, line, "–", ha="center", va="center")
                    continue
                values[line, column] = rate
                axes.text(
                    column,
                    line,
                    f"{rate:.0f}",
                    ha="center",
                    va="center",
                    color="white" if rate > _DARK else INK,
                )
        image = axes.imshow(values, cmap=_MAP, vmin=0, vmax=100, aspect="auto")
        axes.set_title(CONDITION_NAMES[condition])
        axes.set_xticks(
            range(len(models)),
            [names[m] for m in models],
            rotation=40,
            ha="right",
            rotation_mode="anchor",
        )
        axes.set_yticks(range(len(categories)), [pretty(c) for c in categories])
        axes.tick_params(length=0)
        axes.grid(False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.set_xticks(np.arange(1, len(models)) - 0.5, minor=True)
        axes.set_yticks(np.arange(1, len(categories)) - 0.5, minor=True)
        axes.tick_params(which="minor", length=0)
        axes.grid(True, which="minor", axis="both", color="white", linewidth=1.5)
    if image is not None:
        bar = figure.colorbar(image, ax=list(panels), pad=0.01, aspect=25)
        bar.set_label("convergence, % of valid outputs")
        bar.outline.set_visible(False)
    return figure


def pretty(name: str) -> str:
    """Return an identifier as words."""
    words = name.replace("_", " ").replace("-", " ").strip()
    words = re.sub(r"\bai\b", "AI", words)
    return words[:1].upper() + words[1:]
