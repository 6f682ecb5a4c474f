"""How far every intervention moves a model, by what it takes; and dose against effect."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from steerability.protocol.intervention import ACCESSES, Intervention
from steerability.report.figures.context import Drawn
from steerability.report.figures.shifts import task_title
from steerability.report.figures.style import (
    COLUMN,
    CYCLE,
    FAINT,
    INK,
    Look,
    cycle_look,
    empty,
    mark,
    plain,
    whiskers,
    wrap,
)
from steerability.report.long_tables import Row, number, unit_of

_MARK = 0.13
_LEAST_STRENGTHS = 3
_PANEL = 1.5
Place = tuple[str, str]


def draw(drawn: Drawn, interventions: Mapping[str, Intervention]) -> Figure:
    """Draw one panel per task, one row per intervention, one mark per model.

    Rows are grouped by access, from the least to the most. Controls of an intervention are no
    rows: a faint band behind its mark spans their shifts, and its rank among them stands beside.
    A family of three strengths or more has a panel of its own, shift over strength.

    Args:
        drawn: the run.
        interventions: by name; which are controls of which.
    """
    rows = [row for row in drawn.tables.steering if row["shift"]]
    if not rows:
        return empty("no shift: the run has no baseline, or nothing beside it")
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    places = list(dict.fromkeys((row["model"], row["guard"]) for row in rows))
    controls = {name: one.control_of for name, one in interventions.items() if one.control_of}
    names = _ordered(dict.fromkeys(r["intervention"] for r in rows), controls, interventions)
    if not names:
        return empty("no shift: every intervention is a control")
    doses = [
        (task, family)
        for task in tasks
        for family in dict.fromkeys(interventions[n].family for n in names if n in interventions)
        if len(_dose(rows, task, family, places[0], controls)) >= _LEAST_STRENGTHS
    ]
    step = _MARK * len(places) + 0.14
    accesses = len({_access(interventions, name) for name in names})
    forest = step * len(names) + 0.17 * accesses + 0.35
    heights = [forest] * len(tasks) + [_PANEL] * len(doses)
    figure = Figure(figsize=(COLUMN, 0.25 + 0.16 * len(places) + sum(h + 0.3 for h in heights)))
    panels = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    looks = {place: _look(at, len(places)) for at, place in enumerate(places)}
    for axes, task in zip(panels, tasks, strict=False):
        mine = [row for row in rows if row["task"] == task]
        _forest(axes, drawn, mine, names, looks, interventions, controls)
    for axes, (task, family) in zip(panels[len(tasks) :], doses, strict=True):
        _doses(axes, drawn, rows, (task, family), looks, controls)
    titles = {(line.model, line.guard): name for line, name in drawn.names.items()}
    for place, look in looks.items():
        mark(panels[0], *look, titles.get(place, plain(place[0])))
    figure.legend(loc="outside upper left", ncols=1)
    return figure


def _look(at: int, many: int) -> Look:
    return Look("o", "#0072B2") if many == 1 else cycle_look(at)


def _access(interventions: Mapping[str, Intervention], name: str) -> str:
    return interventions[name].access if name in interventions else ACCESSES[0]


def _ordered(
    names: Mapping[str, object],
    controls: Mapping[str, str],
    interventions: Mapping[str, Intervention],
) -> list[str]:
    """Interventions by access, family and strength; controls are left out."""

    def key(name: str) -> tuple[int, str, float]:
        one = interventions.get(name)
        if one is None:
            return 0, "", 0.0
        return ACCESSES.index(one.access), one.family, one.strength or 0.0

    return sorted((name for name in names if name not in controls), key=key)


def _forest(
    axes: Axes,
    drawn: Drawn,
    rows: Sequence[Row],
    names: Sequence[str],
    looks: Mapping[Place, Look],
    interventions: Mapping[str, Intervention],
    controls: Mapping[str, str],
) -> None:
    axes.axvline(0, color=INK, linewidth=0.6)
    step = 0.8 / max(len(looks), 2)
    found = {(row["model"], row["guard"], row["intervention"]): row for row in rows}
    ticks: list[float] = []
    y, before = 0.0, ""
    beside = axes.get_yaxis_transform()
    for name in names:
        access = _access(interventions, name)
        if access != before:
            before = access
            words = f"access: {access}"
            axes.text(0.0, y, words, transform=beside, va="center", fontsize=6.5, style="italic")
            y += 0.75
        ticks.append(y)
        for at, (place, look) in enumerate(looks.items()):
            row = found.get((*place, name))
            value = number(row, "shift")
            if row is None or value is None:
                continue
            here = y + (at - (len(looks) - 1) / 2) * step
            others = [found.get((*place, other)) for other, of in controls.items() if of == name]
            _band(axes, others, here, step)
            whiskers(axes, value, here, (number(row, "low"), number(row, "high")), *look)
            if row["control_rank"]:
                words = f"{row['control_rank']} of {int(row['controls']) + 1}"
                axes.text(1.02, here, words, transform=beside, va="center", fontsize=6.5)
        y += 1
    axes.set_yticks(ticks, [wrap(name, 22) for name in names], fontsize=7)
    axes.set_ylim(y - 0.4, -0.5)
    measure = rows[0]["measure"]
    axes.set_title(task_title(drawn, rows[0]["task"], measure), loc="left", fontsize=7.5)
    axes.set_xlabel(f"shift from the baseline, {unit_of(measure)} ({drawn.level})")


def _band(axes: Axes, controls: Sequence[Row | None], y: float, step: float) -> None:
    """Span the shifts of an intervention's controls."""
    shifts = [shift for row in controls if (shift := number(row, "shift")) is not None]
    if shifts:
        half = step * 0.42
        axes.fill_between((min(shifts), max(shifts)), y - half, y + half, color=FAINT, zorder=0)


def _dose(
    rows: Sequence[Row], task: str, family: str, place: Place, controls: Mapping[str, str]
) -> list[Row]:
    mine = [
        row
        for row in rows
        if (row["task"], row["family"], row["model"], row["guard"]) == (task, family, *place)
        and row["strength"]
        and row["intervention"] not in controls
    ]
    return sorted(mine, key=lambda row: float(row["strength"]))


def _doses(
    axes: Axes,
    drawn: Drawn,
    rows: Sequence[Row],
    of: tuple[str, str],
    looks: Mapping[Place, Look],
    controls: Mapping[str, str],
) -> None:
    """Draw a family's shift over strength, and state the slope."""
    task, family = of
    axes.axhline(0, color=INK, linewidth=0.6)
    slopes = []
    for at, (place, look) in enumerate(looks.items()):
        mine = _dose(rows, task, family, place, controls)
        if not mine:
            continue
        x = [float(row["strength"]) for row in mine]
        y = [float(row["shift"]) for row in mine]
        colour = look.colour if len(looks) > 1 else CYCLE[at]
        bars = [_beside(row) for row in mine]
        errors = [[below for below, _ in bars], [above for _, above in bars]]
        style: dict[str, Any] = {"marker": look.marker, "color": colour}
        axes.errorbar(x, y, yerr=errors, markersize=4, linewidth=1, **style)
        stated = [mine[0][name] for name in ("slope", "slope_low", "slope_high")]
        if all(stated):
            # two decimals, which a title has room for; steering.csv has them all
            slopes.append("{:.2f} ({:.2f} to {:.2f})".format(*map(float, stated)))
    measure = next(row["measure"] for row in rows if row["task"] == task)
    title = f"{plain(family)}, {task_title(drawn, task, measure)}"
    if len(slopes) == 1:
        title += f"\nslope {slopes[0]} {unit_of(measure)} a unit of strength"
    axes.set_title(title, loc="left", fontsize=7)
    axes.grid(True, axis="y")
    axes.set_xlabel("strength")
    axes.set_ylabel(f"shift, {unit_of(measure)}")


def _beside(row: Row) -> tuple[float, float]:
    """How far the interval of a shift reaches below and above it."""
    value, low, high = (number(row, name) for name in ("shift", "low", "high"))
    value = value or 0.0
    below = 0.0 if low is None else max(0.0, value - low)
    return below, 0.0 if high is None else max(0.0, high - value)
