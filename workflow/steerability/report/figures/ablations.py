"""How much of the headline contrast hangs on a choice: of denominator, scenarios or protocol."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from steerability.protocol.task import Task
from steerability.report.figures.context import Drawn
from steerability.report.figures.delta import NO_CONTRAST
from steerability.report.figures.style import (
    COLUMN,
    INK,
    between_rows,
    empty,
    mark,
    plain,
    roomy,
    whiskers,
)
from steerability.report.long_tables import Row, contrast_title, number

_STEP = 0.17
# what the gap is computed over: columns of contrasts.csv, marker, colour, legend
_CHOICES = (
    ("estimate", "low", "high", "o", "#0072B2", "valid outputs (Table 1)"),
    ("all", "all_low", "all_high", "s", "#E69F00", "all outputs"),
    (
        "paired",
        "newcombe_low",
        "newcombe_high",
        "D",
        "#009E73",
        "scenarios valid under both (Newcombe)",
    ),
)
_VARIANTS = (("^", "#CC79A7"), ("v", "#56B4E9"), ("P", "#000000"), ("X", "#D55E00"))


def draw(drawn: Drawn, task: Task, variants: Mapping[str, Mapping[str, Row]]) -> Figure:
    """Draw the contrast of every model under every choice, with its interval.

    Args:
        drawn: the run.
        task: a labelled task.
        variants: name of another run with a changed protocol to its rows of Table 1, by the
            model's name or, where a variant names its models otherwise, by ``kind``.
    """
    contrast = drawn.headline
    lines = drawn.tables.lines(task.name, task.primary_judge)
    if contrast is None:
        return empty(NO_CONTRAST)
    if not lines:
        return empty(f"no outputs of the task {task.name}")
    marks = len(_CHOICES) + 1 + len(variants)
    step = min(_STEP, 0.8 / marks)
    height = 0.55 + 0.16 * marks + len(lines) * max(0.3, 0.115 * marks)
    figure = Figure(figsize=(COLUMN, height))
    axes = figure.subplots()
    axes.axvline(0, color=INK, linewidth=0.6)
    for at, line in enumerate(lines):
        y = at - step * (marks - 1) / 2
        row = drawn.difference(task, line, contrast)
        for value, low, high, marker, colour, _ in _CHOICES:
            _draw(axes, row, (value, low, high), y, (marker, colour))
            y += step
        worst = number(row, "worst_low"), number(row, "worst_high")
        if worst[0] is not None and worst[1] is not None:
            axes.plot(
                (worst[0], worst[1]), (y, y), color="#6E6E6E", linewidth=3, solid_capstyle="butt"
            )
        for (marker, colour), tables in zip(_looks(variants), variants.values(), strict=True):
            y += step
            other = tables.get(line.model) or tables.get(kind(line.size, line.stage))
            if other is not None:
                _draw(axes, other, ("delta", "delta_low", "delta_high"), y, (marker, colour))
    for *_, marker, colour, label in _CHOICES:
        mark(axes, marker, colour, label)
    axes.plot([], [], color="#6E6E6E", linewidth=3, label="worst-case bounds, all outputs")
    for (marker, colour), name in zip(_looks(variants), variants, strict=True):
        mark(axes, marker, colour, plain(name))
    between_rows(axes, [drawn.names[line] for line in lines])
    roomy(axes)
    axes.set_xlabel(f"{plain(contrast_title(contrast))}, points ({drawn.level})")
    figure.legend(loc="outside upper left", ncols=1)
    return figure


def kind(size: str, stage: str) -> str:
    """Return what a model is apart from its name: its size and stage."""
    return f"{size}/{stage}"


def _looks(variants: Mapping[str, object]) -> Sequence[tuple[str, str]]:
    return [_VARIANTS[at % len(_VARIANTS)] for at in range(len(variants))]


def _draw(
    axes: Axes, row: Row | None, fields: tuple[str, str, str], y: float, look: tuple[str, str]
) -> None:
    value, low, high = (number(row, name) for name in fields)
    if value is not None:
        whiskers(axes, value, y, (low, high), *look)
