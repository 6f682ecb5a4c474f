"""How much of the gap hangs on a choice: of denominator, of scenarios, of protocol."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from steerability.report.figures.style import COLUMN, FAINT, INK, mark, number, roomy, whiskers
from steerability.report.tables.table1 import Row

_STEP = 0.17
# what the gap is computed over: prefix of the columns of Table 1, marker, colour, legend
_CHOICES = (
    ("delta", "delta_low", "delta_high", "o", "#0072B2", "valid outputs (Table 1)"),
    ("delta_all", "delta_all_low", "delta_all_high", "s", "#E69F00", "all outputs"),
    (
        "delta_paired",
        "delta_newcombe_low",
        "delta_newcombe_high",
        "D",
        "#009E73",
        "scenarios valid under both (Newcombe)",
    ),
)
_VARIANTS = (("^", "#CC79A7"), ("v", "#56B4E9"), ("P", "#000000"), ("X", "#D55E00"))


def draw(
    rows: Sequence[Row],
    names: Sequence[str],
    variants: Mapping[str, Mapping[str, Row]],
    level: str,
) -> Figure:
    """Draw the gap of every model under every choice, with its interval.

    Args:
        rows: of Table 1.
        names: of the models, as the figure writes them.
        variants: name of another run with a changed protocol to its rows of Table 1, by the
            model's name or, where a variant names its models otherwise, by ``kind``.
        level: what the intervals are called, from ``style.interval_name``.
    """
    marks = len(_CHOICES) + 1 + len(variants)
    step = min(_STEP, 0.8 / marks)
    height = 0.55 + 0.16 * marks + len(rows) * max(0.3, 0.115 * marks)
    figure = Figure(figsize=(COLUMN, height))
    axes = figure.subplots()
    axes.axvline(0, color=INK, linewidth=0.6)
    for at, row in enumerate(rows):
        y = at - step * (marks - 1) / 2
        for name, low, high, marker, colour, _ in _CHOICES:
            _draw(axes, row, (name, low, high), y, (marker, colour))
            y += step
        worst = number(row, "delta_worst_low"), number(row, "delta_worst_high")
        if worst[0] is not None and worst[1] is not None:
            axes.plot(
                (worst[0], worst[1]), (y, y), color="#6E6E6E", linewidth=3, solid_capstyle="butt"
            )
        for (marker, colour), tables in zip(_looks(variants), variants.values(), strict=True):
            y += step
            other = tables.get(str(row["model"])) or tables.get(kind(row))
            if other is not None:
                _draw(axes, other, ("delta", "delta_low", "delta_high"), y, (marker, colour))
    for *_, marker, colour, label in _CHOICES:
        mark(axes, marker, colour, label)
    axes.plot([], [], color="#6E6E6E", linewidth=3, label="worst-case bounds, all outputs")
    for (marker, colour), name in zip(_looks(variants), variants, strict=True):
        mark(axes, marker, colour, name)
    for at in range(1, len(rows)):
        axes.axhline(at - 0.5, color=FAINT, linewidth=0.5)
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    roomy(axes)
    axes.set_xlabel(f"Δ, points ({level})")
    figure.legend(loc="outside upper left", ncols=1)
    return figure


def kind(row: Row) -> str:
    """Return what a model is apart from its name: its size and stage."""
    return f"{row['size']}/{row['stage']}"


def _looks(variants: Mapping[str, Mapping[str, Row]]) -> list[tuple[str, str]]:
    return [_VARIANTS[at % len(_VARIANTS)] for at in range(len(variants))]


def _draw(
    axes: Axes, row: Row, fields: tuple[str, str, str], y: float, look: tuple[str, str]
) -> None:
    value, low, high = (number(row, name) for name in fields)
    if value is not None:
        whiskers(axes, value, y, (low, high), *look)
