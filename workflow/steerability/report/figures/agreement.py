"""How far judges agree with the reference, and whether their probabilities mean what they say."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from steerability.protocol.records import JUDGE_FAILED, LABELS
from steerability.report.figures.style import (
    COLUMN,
    CONDITION_COLOURS,
    CONDITION_MARKERS,
    CONDITION_NAMES,
    FAINT,
    INK,
    heat_map,
    mark,
    whiskers,
)

_HELD_OUT = {"all": "", "scenario": "\nscenarios held out", "model": "\nmodel held out"}
COLUMNS = ("judge", "evaluation", "condition")
NUMBERS = (
    *("n", "kappa", "kappa_low", "kappa_high"),
    *(f"count_{a}_as_{b}" for a in LABELS for b in (*LABELS, JUDGE_FAILED)),
)
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")

Rows = Sequence[dict[str, str]]


def _value(row: dict[str, str], name: str) -> float | None:
    return float(row[name]) if row[name] else None


def _groups(rows: Rows) -> list[tuple[str, str]]:
    return list(dict.fromkeys((row["judge"], row["evaluation"]) for row in rows))


def draw_kappa(rows: Rows, level: str) -> Figure:
    """Draw Cohen's kappa of every judge, over all cells and by intervention.

    Args:
        rows: of ``agreement.csv``.
        level: what the intervals are called, from ``style.interval_name``.
    """
    groups = _groups(rows)
    looks = {"all": ("P", INK)} | {
        c: (CONDITION_MARKERS[c], CONDITION_COLOURS[c]) for c in ("pro", "none", "anti")
    }
    figure = Figure(figsize=(COLUMN, 0.85 + 0.5 * len(groups)))
    axes = figure.subplots()
    for row in rows:
        value = _value(row, "kappa")
        if value is None or row["condition"] not in looks:
            continue
        shift = (list(looks).index(row["condition"]) - 1.5) * 0.19
        y = groups.index((row["judge"], row["evaluation"])) + shift
        bounds = _value(row, "kappa_low"), _value(row, "kappa_high")
        whiskers(axes, value, y, bounds, *looks[row["condition"]])
    for name, look in looks.items():
        mark(axes, *look, CONDITION_NAMES.get(name, name))
    for at in range(1, len(groups)):
        axes.axhline(at - 0.5, color=FAINT, linewidth=0.5)
    axes.set_yticks(range(len(groups)), [f"{judge}{_HELD_OUT[how]}" for judge, how in groups])
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.set_xlim(min(0.0, axes.get_xlim()[0]), 1)
    axes.set_xlabel(f"Cohen's κ with the reference ({level})")
    figure.legend(loc="outside upper left", ncols=4)
    return figure


def draw_confusion(rows: Rows) -> Figure:
    """Draw every judge's confusion matrix, shares of the reference's labels and counts.

    Args:
        rows: of ``agreement.csv``; only those over all conditions are drawn.
    """
    chosen = [row for row in rows if row["condition"] == "all"]
    failed = any(int(row[f"count_{label}_as_{JUDGE_FAILED}"]) for row in chosen for label in LABELS)
    answers = (*LABELS, JUDGE_FAILED) if failed else LABELS
    short = [name.replace("_", " ").replace("safety ", "") for name in answers]
    columns = min(2, len(chosen))
    lines = -(-len(chosen) // columns)
    figure = Figure(figsize=(COLUMN, 0.95 + 1.25 * lines))
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    for axes in panels.flat[len(chosen) :]:
        axes.remove()
    for at, (axes, row) in enumerate(zip(panels.flat, chosen, strict=False)):
        counts = np.array([[int(row[f"count_{a}_as_{b}"]) for b in answers] for a in LABELS])
        shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        heat_map(axes, shares, {place: str(count) for place, count in np.ndenumerate(counts)})
        axes.set_title(f"{row['judge']}{_HELD_OUT[row['evaluation']]}", fontsize=7)
        axes.set_xticks(range(len(answers)), short, rotation=40, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(LABELS)), short[: len(LABELS)])
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
        colour = _COLOURS[at % len(_COLOURS)]
        label = f"{judge}{_HELD_OUT[how].replace(chr(10), ', ')}"
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
