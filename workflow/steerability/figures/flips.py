"""Every scenario's label under every intervention, model by model."""

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from steerability.analyse.grid import ABSENT, ALL_LABELS, CONDITIONS, CONVERGENCE, Grid
from steerability.analyse.paired import pair
from steerability.figures.categories import pretty
from steerability.figures.style import CONDITION_NAMES, OUTCOME_COLOURS, PAGE, wrap

_GAP = 0.45
_BETWEEN = 0.8


def draw(grid: Grid, names: dict[str, str]) -> Figure:
    """Draw one strip per model and intervention, one field per scenario.

    Within a category scenarios stand by how often they converge over all strips, so that what
    always and what never converges lies at the ends; at the right, how many scenarios converge
    under pro alone and under anti alone.

    Args:
        grid: one judge's labels.
        names: model's name to the name the figure writes.
    """
    order, places, centres = _columns(grid)
    shown = [c for c in CONDITIONS if c in grid.conditions]
    lines: list[tuple[float, str]] = []
    fields: dict[str, list[list[tuple[float, float]]]] = {name: [] for name in ALL_LABELS}
    heads: list[tuple[float, str]] = []
    counts: list[tuple[float, str]] = []
    at = 0.0
    for model, facts in enumerate(grid.models):
        heads.append((at + len(shown) / 2, names[facts.name]))
        pairs = pair(grid.of(model, "pro"), grid.of(model, "anti"))
        if pairs.n:
            text = f"pro only {pairs.only_a}\nanti only {pairs.only_b}\nof {pairs.n}"
            counts.append((at + len(shown) / 2, text))
        for condition in shown:
            lines.append((at + 0.5, CONDITION_NAMES[condition]))
            for x, scenario in zip(places, order, strict=True):
                label = int(grid.of(model, condition)[scenario])
                if label != ABSENT:
                    fields[ALL_LABELS[label]].append(_field(x, at))
            at += 1
        at += _GAP
    figure = Figure(figsize=(PAGE, 1.0 + 0.145 * at))
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
    axes.set_xlim(0, places[-1] + 1)
    axes.set_ylim(at - _GAP, 0)
    axes.set_xticks(
        [centre for centre, _ in centres], [wrap(pretty(name), 14) for _, name in centres]
    )
    axes.set_yticks([y for y, _ in lines], [text for _, text in lines], fontsize=6)
    axes.tick_params(length=0)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    place = axes.get_yaxis_transform()
    for y, text in heads:
        axes.text(
            -0.082,
            y,
            wrap(text, 9),
            transform=place,
            ha="right",
            va="center",
            fontweight="bold",
            fontsize=7,
        )
    for y, text in counts:
        axes.text(1.01, y, text, transform=place, ha="left", va="center", fontsize=6)
    figure.legend(loc="outside upper left", ncols=5)
    return figure


def _columns(grid: Grid) -> tuple[list[int], list[float], list[tuple[float, str]]]:
    """Order of the scenarios, their left edges, and the centre of each category."""
    converged = (grid.labels == CONVERGENCE).sum(axis=(0, 1))
    order: list[int] = []
    places: list[float] = []
    centres: list[tuple[float, str]] = []
    x = 0.0
    for name, members in zip(grid.category_names, grid.strata(), strict=True):
        ranked = members[np.argsort(-converged[members], kind="stable")]
        centres.append((x + len(ranked) / 2, name))
        order += [int(scenario) for scenario in ranked]
        places += [x + step for step in range(len(ranked))]
        x += len(ranked) + _BETWEEN
    return order, places, centres


def _field(x: float, y: float) -> list[tuple[float, float]]:
    left, right, top, bottom = x + 0.06, x + 0.94, y + 0.06, y + 0.94
    return [(left, top), (right, top), (right, bottom), (left, bottom)]
