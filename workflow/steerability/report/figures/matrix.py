"""Defences against attacks: rate of the event in every field, with its interval."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from steerability.report.figures.style import COLUMN, empty, heat_map, plain, wrap
from steerability.report.long_tables import Row

KEYS = ("task", "model", "defence", "attack", "judge")
NUMBERS = ("n", "valid", "count", "rate", "low", "high")
_FIELD = 0.78
_LINE = 0.42


def draw(rows: Sequence[Row]) -> Figure:
    """Draw one heat map per task and model, defences down and attacks across.

    Args:
        rows: of ``matrix.csv``; of several judges the first of each task is drawn.
    """
    first: dict[str, str] = {}
    for row in rows:
        first.setdefault(row["task"], row["judge"])
    rows = [row for row in rows if row["judge"] == first[row["task"]]]
    if not rows:
        return empty("no defence was set against an attack")
    defences = list(dict.fromkeys(row["defence"] for row in rows))
    attacks = list(dict.fromkeys(row["attack"] for row in rows))
    panels = list(dict.fromkeys((row["task"], row["model"]) for row in rows))
    width = max(COLUMN, 1.3 + _FIELD * len(attacks))
    height = 0.7 + len(panels) * (0.3 + _LINE * len(defences))
    figure = Figure(figsize=(width, height))
    drawn = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (task, model) in zip(drawn, panels, strict=True):
        rates = np.full((len(defences), len(attacks)), np.nan)
        words: dict[tuple[int, int], str] = {}
        for row in rows:
            if (row["task"], row["model"]) != (task, model):
                continue
            place = defences.index(row["defence"]), attacks.index(row["attack"])
            words[place] = _words(row)
            if row["rate"]:
                rates[place] = float(row["rate"])
        heat_map(axes, rates, words)
        axes.set_yticks(range(len(defences)), [wrap(name or "none", 16) for name in defences])
        axes.set_title(plain(f"{task}, {model}"), loc="left", fontsize=7.5)
    heads = [wrap(name or "none", 12) for name in attacks]
    drawn[-1].set_xticks(
        range(len(attacks)), heads, rotation=40, ha="right", rotation_mode="anchor"
    )
    figure.supxlabel("attack", fontsize=7.5)
    figure.supylabel("defence", fontsize=7.5)
    return figure


def _words(row: Row) -> str:
    if not row["rate"]:
        return "–"
    rate = f"{float(row['rate']):.0f} %"
    if not (row["low"] and row["high"]):
        return rate
    return f"{rate}\n{float(row['low']):.0f}–{float(row['high']):.0f}"
