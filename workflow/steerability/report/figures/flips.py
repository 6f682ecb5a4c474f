"""Every scenario's label under every intervention, model by model."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from steerability.estimate.grid import ABSENT, ALL_LABELS, CONDITIONS, CONVERGENCE, Grid
from steerability.estimate.paired import pair
from steerability.report.figures.categories import pretty
from steerability.report.figures.style import COLUMN, CONDITION_NAMES, OUTCOME_COLOURS, wrap

_STRIP = 0.13
_BETWEEN_MODELS = 0.4
_BETWEEN_CATEGORIES = 1.2
_BELOW = 2.5
_LINE = 2.6
_COUNTS = ("pro only", "anti only", "valid in both")

Field = list[tuple[float, float]]


def draw(grid: Grid, names: Mapping[str, str]) -> Figure:
    """Draw one strip per model and intervention, one field per scenario.

    Within a category scenarios stand by how often they converge over all strips, so that what
    always and what never converges lies at the ends; below, how many scenarios converge under pro
    alone and under anti alone, of those valid under both.

    Args:
        grid: one judge's labels.
        names: model's name to the name the figure writes.
    """
    order, places, centres = _lines(grid)
    shown = [c for c in CONDITIONS if c in grid.conditions]
    fields: dict[str, list[Field]] = {name: [] for name in ALL_LABELS}
    strips: list[tuple[float, str]] = []
    centre_of: list[float] = []
    at = 0.0
    for model in range(len(grid.models)):
        centre_of.append(at + len(shown) / 2)
        for condition in shown:
            strips.append((at + 0.5, CONDITION_NAMES[condition]))
            for y, scenario in zip(places, order, strict=True):
                label = int(grid.of(model, condition)[scenario])
                if label != ABSENT:
                    fields[ALL_LABELS[label]].append(_field(at, y))
            at += 1
        at += _BETWEEN_MODELS
    bottom = places[-1] + 1
    width = max(COLUMN, 0.85 + _STRIP * (at - _BETWEEN_MODELS))
    figure = Figure(figsize=(width, 1.6 + 0.056 * (bottom + _BELOW + _LINE * len(_COUNTS))))
    axes = figure.subplots()
    for name, corners in fields.items():
        if corners:
            axes.add_collection(
                PolyCollection(
                    corners,
                    facecolors=OUTCOME_COLOURS[name],
                    edgecolors="none",
                    label=name.replace("_", " "),
                )
            )
    heads = [wrap(names[model.name], 9) for model in grid.models]
    _label(axes, strips, list(zip(centre_of, heads, strict=True)))
    _count(axes, grid, centre_of, bottom)
    counted = [(_count_line(bottom, at), name) for at, name in enumerate(_COUNTS)]
    ticks = [(y, wrap(pretty(name), 14)) for y, name in centres] + counted
    axes.set_yticks([y for y, _ in ticks], [text for _, text in ticks], fontsize=7)
    axes.set_xlim(0, at - _BETWEEN_MODELS)
    axes.set_ylim(_count_line(bottom, len(_COUNTS) - 1) + 1, 0)
    axes.tick_params(length=0)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    figure.legend(loc="outside upper left", ncols=2)
    return figure


def _label(axes: Axes, strips: list[tuple[float, str]], heads: list[tuple[float, str]]) -> None:
    """Name the strips and, above them, the models."""
    axes.xaxis.set_ticks_position("top")
    axes.set_xticks([x for x, _ in strips], [text for _, text in strips], rotation=90, fontsize=6.5)
    above = axes.secondary_xaxis("top")
    above.set_xticks([x for x, _ in heads], [f"{text}\n\n\n\n" for _, text in heads], fontsize=6.5)
    above.tick_params(length=0)
    above.spines["top"].set_visible(False)


def _count(axes: Axes, grid: Grid, centres: list[float], bottom: float) -> None:
    """Write below the strips how many scenarios converge under one suffix alone."""
    for model, x in enumerate(centres):
        pairs = pair(grid.of(model, "pro"), grid.of(model, "anti"))
        for line, value in enumerate((pairs.only_a, pairs.only_b, pairs.n)):
            y = _count_line(bottom, line)
            axes.text(x, y, str(value), ha="center", va="center", fontsize=7)


def _count_line(bottom: float, line: int) -> float:
    return bottom + _BELOW + _LINE * line


def _lines(grid: Grid) -> tuple[list[int], list[float], list[tuple[float, str]]]:
    """Order of the scenarios, their upper edges, and the centre of each category."""
    converged = (grid.labels == CONVERGENCE).sum(axis=(0, 1))
    order: list[int] = []
    places: list[float] = []
    centres: list[tuple[float, str]] = []
    y = 0.0
    for name, members in zip(grid.category_names, grid.strata(), strict=True):
        ranked = members[np.argsort(-converged[members], kind="stable")]
        centres.append((y + len(ranked) / 2, name))
        order += [int(scenario) for scenario in ranked]
        places += [y + step for step in range(len(ranked))]
        y += len(ranked) + _BETWEEN_CATEGORIES
    return order, places, centres


def _field(x: float, y: float) -> Field:
    left, right, top, bottom = x + 0.05, x + 0.95, y + 0.06, y + 0.94
    return [(left, top), (right, top), (right, bottom), (left, bottom)]
