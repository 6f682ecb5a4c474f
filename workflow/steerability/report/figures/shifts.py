"""Forest plot of the shifts of every task: scenarios, twins, their difference, capability."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from steerability.protocol.design import Contrast
from steerability.report.figures.context import Drawn
from steerability.report.figures.delta import NO_CONTRAST
from steerability.report.figures.style import (
    COLUMN,
    INK,
    Look,
    cycle_look,
    empty,
    mark,
    plain,
    whiskers,
    wrap,
)
from steerability.report.long_tables import (
    Line,
    Row,
    contrast_title,
    difference_tasks,
    measure_of,
    number,
    unit_of,
)

_LOOKS = (Look("o", "#000000"), Look("D", "#0072B2"), Look("s", "#D55E00"))
_ROW = 0.3
_MARK = 0.11
_MOST = 6


class Shift(NamedTuple):
    """A row of the forest: a task and measure on one line, and its contrasts by their place."""

    task: str
    measure: str
    line: Line
    found: dict[int, Row]


def shown_contrasts(drawn: Drawn) -> tuple[Contrast, ...]:
    """Return the contrasts that are drawn: the headline's, or the first few without one."""
    return (drawn.study.design.headline or drawn.contrasts)[:_MOST]


def shifts(drawn: Drawn) -> list[Shift]:
    """Return the rows: the tasks as the study has them, then differences of differences."""
    wanted = {(c.a, c.b): at for at, c in enumerate(shown_contrasts(drawn))}
    measures = {
        (task.name, task.primary_judge or ""): measure_of(drawn.study, task)
        for task in drawn.study.tasks
    }
    order = [task.name for task in drawn.study.tasks]
    order += difference_tasks(drawn.study, drawn.tables)
    found: dict[tuple[str, Line], Shift] = {}
    for row in drawn.tables.contrasts:
        task, place = row["task"], wanted.get((row["intervention_a"], row["intervention_b"]))
        named = any(name == task for name, _ in measures)
        fits = measures.get((task, row["judge"])) == row["measure"]
        # a difference of differences has one measure, besides log-odds per token
        fits = fits if named else not row["measure"].endswith("_per_token")
        if place is None or not fits or not row["estimate"]:
            continue
        line = Line(row["model"], row["size"], row["stage"], row["guard"])
        found.setdefault((task, line), Shift(task, row["measure"], line, {})).found[place] = row
    lines = list(drawn.names)
    return sorted(found.values(), key=lambda one: (lines.index(one.line), order.index(one.task)))


def draw(drawn: Drawn) -> Figure:
    """Draw every task's shifts with intervals, one panel per unit, grouped by model.

    Args:
        drawn: the run.
    """
    rows = shifts(drawn)
    contrasts = shown_contrasts(drawn)
    if not contrasts:
        return empty(NO_CONTRAST)
    if not rows:
        return empty("no shift could be estimated")
    units = list(dict.fromkeys(unit_of(row.measure) for row in rows))
    groups = [[row for row in rows if unit_of(row.measure) == unit] for unit in units]
    height = max(_ROW, _MARK * len(contrasts) + 0.08)
    heights = [_height(group) for group in groups]
    size = 0.6 + 0.16 * len(contrasts) + sum(heights) * height + 0.4 * len(units)
    figure = Figure(figsize=(COLUMN, size))
    panels = figure.subplots(len(units), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, unit, group in zip(panels, units, groups, strict=True):
        _panel(axes, drawn, group, len(contrasts))
        axes.set_xlabel(f"shift, {unit} ({drawn.level})")
    for at, contrast in enumerate(contrasts):
        title = contrast_title(contrast)
        if title == "Δ":
            title = f"Δ: {contrast.a} \N{MINUS SIGN} {contrast.b}"
        mark(panels[0], *_look(at), plain(title))
    figure.legend(loc="outside upper left", ncols=1)
    return figure


def _look(at: int) -> Look:
    return _LOOKS[at] if at < len(_LOOKS) else cycle_look(at - len(_LOOKS))


def _height(group: Sequence[Shift]) -> float:
    return len(group) + 0.75 * len({row.line for row in group})


def _panel(axes: Axes, drawn: Drawn, group: Sequence[Shift], many: int) -> None:
    axes.axvline(0, color=INK, linewidth=0.6)
    step = min(0.24, 0.8 / many)
    ticks: list[tuple[float, str]] = []
    heads: list[tuple[float, str]] = []
    y, before = 0.0, None
    for row in group:
        if row.line != before:
            heads.append((y, drawn.names[row.line]))
            y += 0.75
            before = row.line
        ticks.append((y, wrap(task_title(drawn, row.task, row.measure), 24)))
        for at, found in row.found.items():
            value = number(found, "estimate") or 0.0
            bounds = number(found, "low"), number(found, "high")
            whiskers(axes, value, y + (at - (many - 1) / 2) * step, bounds, *_look(at))
        y += 1
    axes.set_yticks([at for at, _ in ticks], [text for _, text in ticks], fontsize=7)
    axes.set_ylim(y - 0.4, -0.45)
    place = axes.get_yaxis_transform()
    for height, name in heads:
        axes.text(0.0, height, name, transform=place, va="center", fontweight="bold", fontsize=7)


def task_title(drawn: Drawn, task: str, measure: str) -> str:
    """Return what a shift is of: the task and what it measures."""
    known = {one.name: one for one in drawn.study.tasks}
    if task not in known:
        pairs = ((a, b) for a in known for b in known if task == f"{a}-{b}")
        a, b = next(pairs, (task, ""))
        return plain(f"{a} \N{MINUS SIGN} {b}" if b else a)
    if known[task].measure == "choose":
        return plain(f"{task}: log-odds")
    return plain(f"{task}: {drawn.event(known[task])}")
