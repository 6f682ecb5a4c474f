"""How far judges agree with the reference, and whether their probabilities mean what they say."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from steerability.protocol.scale import JUDGE_FAILED
from steerability.report.figures.style import (
    COLUMN,
    INK,
    Look,
    between_rows,
    heat_map,
    mark,
    plain,
    spread,
    whiskers,
    wrap,
)

_HELD_OUT = {"all": "", "scenario": "\nscenarios held out", "model": "\nmodel held out"}
COLUMNS = ("judge", "evaluation", "condition")
NUMBERS = ("n", "kappa", "kappa_low", "kappa_high")
WHOLE = "all"
CURVES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
_COUNT = re.compile(r"count_(.+?)_as_(.+)")

Rows = Sequence[dict[str, str]]


def _value(row: dict[str, str], name: str) -> float | None:
    return float(row[name]) if row[name] else None


def _groups(rows: Rows) -> list[tuple[str, str]]:
    return list(dict.fromkeys((row["judge"], row["evaluation"]) for row in rows))


def _title(judge: str, evaluation: str) -> str:
    return plain(judge) + _HELD_OUT.get(evaluation, f"\n{plain(evaluation)}")


def draw_kappa(rows: Rows, looks: Mapping[str, Look], level: str) -> Figure:
    """Draw Cohen's kappa of every judge, over all cells and by intervention.

    Args:
        rows: of ``agreement.csv``.
        looks: of interventions, in the order to draw them.
        level: what the intervals are called, from ``style.interval_name``.
    """
    groups = _groups(rows)
    present = {row["condition"] for row in rows}
    shown = {WHOLE: Look("P", INK)} | {k: v for k, v in looks.items() if k in present}
    height = max(0.5, 0.13 * len(shown))
    figure = Figure(figsize=(COLUMN, 0.7 + 0.15 * -(-len(shown) // 4) + height * len(groups)))
    axes = figure.subplots()
    step = min(0.19, 0.76 / len(shown))
    for row in rows:
        value = _value(row, "kappa")
        if value is None or row["condition"] not in shown:
            continue
        place = spread(list(shown).index(row["condition"]), len(shown), step)
        y = groups.index((row["judge"], row["evaluation"])) + place
        bounds = _value(row, "kappa_low"), _value(row, "kappa_high")
        whiskers(axes, value, y, bounds, *shown[row["condition"]])
    for name, look in shown.items():
        mark(axes, *look, plain(name))
    between_rows(axes, [_title(*group) for group in groups])
    axes.set_xlim(min(0.0, axes.get_xlim()[0]), 1)
    axes.set_xlabel(f"Cohen's κ with the reference ({level})")
    figure.legend(loc="outside upper left", ncols=4)
    return figure


def _counted(rows: Rows) -> tuple[list[str], list[str]]:
    """Labels of the reference, and answers of the judges, that the table has columns for."""
    pairs = [found.groups() for name in rows[0] if (found := _COUNT.fullmatch(name))]
    return list(dict.fromkeys(a for a, _ in pairs)), list(dict.fromkeys(b for _, b in pairs))


def draw_confusion(rows: Rows) -> Figure:
    """Draw every judge's confusion matrix, shares of the reference's labels and counts.

    Args:
        rows: of ``agreement.csv``; only those over all conditions are drawn.
    """
    chosen = [row for row in rows if row["condition"] == WHOLE]
    labels, answers = _counted(rows)
    if not any(int(row[f"count_{a}_as_{JUDGE_FAILED}"]) for row in chosen for a in labels):
        answers = [name for name in answers if name != JUDGE_FAILED]
    short = {name: wrap(name.replace("_", " ").replace("safety ", ""), 16) for name in answers}
    columns = min(2, len(chosen))
    lines = -(-len(chosen) // columns)
    figure = Figure(figsize=(COLUMN, 0.95 + 1.25 * lines * max(1.0, len(labels) / 4)))
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    for axes in panels.flat[len(chosen) :]:
        axes.remove()
    for at, (axes, row) in enumerate(zip(panels.flat, chosen, strict=False)):
        counts = np.array([[int(row[f"count_{a}_as_{b}"]) for b in answers] for a in labels])
        shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        heat_map(axes, shares, {place: str(count) for place, count in np.ndenumerate(counts)})
        axes.set_title(_title(row["judge"], row["evaluation"]), fontsize=7)
        heads = [short[name] for name in answers]
        axes.set_xticks(range(len(answers)), heads, rotation=40, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(labels)), [short[name] for name in labels])
        axes.tick_params(labelbottom=at + columns >= len(chosen))
    figure.supxlabel("judge", fontsize=7.5)
    figure.supylabel("reference", fontsize=7.5)
    return figure


def draw_calibration(rows: Rows) -> Figure:
    """Draw how often the given label is right against the probability it was given with.

    Args:
        rows: of ``calibration.csv``; only those of the given label (``top``) are drawn.
    """
    chosen = [row for row in rows if row["label"] == "top"]
    figure = Figure(figsize=(COLUMN, 3.1 + 0.14 * len(_groups(chosen))))
    axes = figure.subplots()
    axes.plot((0, 1), (0, 1), color="#6E6E6E", linewidth=0.8, linestyle="--")
    for at, (judge, how) in enumerate(_groups(chosen)):
        mine = [row for row in chosen if (row["judge"], row["evaluation"]) == (judge, how)]
        x, y = ([float(row[name]) for row in mine] for name in ("probability", "frequency"))
        most = max(int(row["n"]) for row in mine)
        colour = CURVES[at % len(CURVES)]
        label = _title(judge, how).replace("\n", ", ")
        axes.plot(x, y, color=colour, linewidth=1, label=label)
        sizes = [6 + 60 * int(row["n"]) / most for row in mine]
        axes.scatter(x, y, s=sizes, color=colour, zorder=3, edgecolor="white", linewidth=0.4)
    axes.grid(True, axis="both")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_aspect("equal")
    axes.set_xlabel("probability of the given label")
    axes.set_ylabel("share of it right")
    figure.legend(loc="outside upper left", ncols=1)
    return figure
