"""Every scenario's label under every intervention, model by model."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from steerability.protocol.design import Contrast
from steerability.protocol.task import Task
from steerability.report.figures.categories import pretty
from steerability.report.figures.context import Drawn
from steerability.report.figures.style import (
    COLUMN,
    empty,
    legible,
    outcome_colours,
    outcome_words,
    plain,
    wrap,
)
from steerability.report.long_tables import Line
from steerability.score.cells import CellRow

_STRIP = 0.13
_BETWEEN_MODELS = 0.4
_BETWEEN_CATEGORIES = 1.2
_BELOW = 2.5
_LINE = 2.6
_LETTER = 0.047
# height of a line of words, in fields
_WORDS = 2.2

Field = list[tuple[float, float]]


@dataclass
class _Strips:
    """Labels to draw: by line, intervention and scenario, one a sample."""

    lines: list[Line] = field(default_factory=list)
    interventions: tuple[str, ...] = ()
    labels: dict[tuple[Line, str, str], list[str]] = field(default_factory=dict)
    categories: dict[str, list[str]] = field(default_factory=dict)
    events: Counter[str] = field(default_factory=Counter)


def draw(drawn: Drawn, task: Task, cells: Iterable[CellRow]) -> Figure:
    """Draw one strip per model and intervention, one field per scenario.

    Within a category scenarios stand by how often they are the event over all strips, so that
    what always and what never is lies at the ends. A field of several samples is divided among
    them. Below, how many scenarios are the event under either end of the headline contrast alone,
    of those valid under both.

    Args:
        drawn: the run.
        task: a labelled task.
        cells: rows of ``cells.csv``; those of the task and its primary judge are drawn.
    """
    strips = _strips(drawn, task, cells)
    if not strips.labels:
        return empty(f"no outputs of the task {task.name}")
    places, ticks, bottom = _places(strips)
    scale, colours = drawn.scale(task), outcome_colours(drawn.scale(task))
    fields: dict[str, list[Field]] = {label: [] for label in scale.labels}
    heads: list[tuple[float, str]] = []
    names: list[tuple[float, str]] = []
    at = 0.0
    for line in strips.lines:
        heads.append((at + len(strips.interventions) / 2, wrap(drawn.names[line], 9)))
        for intervention in strips.interventions:
            names.append((at + 0.5, plain(intervention)))
            for scenario, y in places.items():
                found = strips.labels.get((line, intervention, scenario), [])
                for part, label in enumerate(found):
                    fields[label].append(_field(at, y, part, len(found)))
            at += 1
        at += _BETWEEN_MODELS
    counted = _counted(drawn.headline)
    width = max(COLUMN, 0.85 + _STRIP * (at - _BETWEEN_MODELS))
    height = 1.3 + 0.056 * (bottom + _BELOW + _LINE * len(counted))
    longest = max(len(name) for _, name in names)
    figure = Figure(figsize=(width, height + max(0.3, _LETTER * longest)))
    axes = figure.subplots()
    for label, corners in fields.items():
        if corners:
            words = legible(plain(outcome_words(scale, label)))
            axes.add_collection(
                PolyCollection(corners, facecolors=colours[label], edgecolors="none", label=words)
            )
    _label(axes, names, heads, longest)
    if drawn.headline is not None:
        centres = [x for x, _ in heads]
        _count(axes, drawn, task, dict(zip(strips.lines, centres, strict=True)), bottom)
    ticks += [(_count_line(bottom, at), wrap(name, 16)) for at, name in enumerate(counted)]
    axes.set_yticks([y for y, _ in ticks], [text for _, text in ticks], fontsize=7)
    axes.set_xlim(0, at - _BETWEEN_MODELS)
    last = _count_line(bottom, len(counted) - 1) if counted else bottom
    axes.set_ylim(last + 1, 0)
    axes.tick_params(length=0)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    figure.legend(loc="outside upper left", ncols=2)
    return figure


def _strips(drawn: Drawn, task: Task, cells: Iterable[CellRow]) -> _Strips:
    strips = _Strips()
    event = drawn.scale(task).event
    lines: dict[Line, None] = {}
    interventions: dict[str, None] = {}
    for row in cells:
        if (row.task, row.judge) != (task.name, task.primary_judge):
            continue
        line = Line(row.model, row.size, row.stage, row.guard)
        lines[line] = interventions[row.intervention] = None
        members = strips.categories.setdefault(row.category, [])
        if row.scenario not in strips.events:
            strips.events[row.scenario] = 0
            members.append(row.scenario)
        strips.events[row.scenario] += row.label == event
        strips.labels.setdefault((line, row.intervention, row.scenario), []).append(row.label)
    strips.lines = list(lines)
    strips.interventions = drawn.study.design.order(interventions)
    return strips


def _places(strips: _Strips) -> tuple[dict[str, float], list[tuple[float, str]], float]:
    """Upper edge of each scenario, centre and name of each category, and where all ends."""
    places: dict[str, float] = {}
    centres: list[tuple[float, str]] = []
    y = 0.0
    for name, members in strips.categories.items():
        ranked = sorted(members, key=lambda scenario: -strips.events[scenario])
        words = wrap(pretty(name), 14)
        # a few scenarios take less room than their category's name
        height = max(float(len(ranked)), _WORDS * (1 + words.count("\n")) - _BETWEEN_CATEGORIES)
        centres.append((y + height / 2, words))
        start = y + (height - len(ranked)) / 2
        places |= {scenario: start + step for step, scenario in enumerate(ranked)}
        y += height + _BETWEEN_CATEGORIES
    return places, centres, y - _BETWEEN_CATEGORIES


def _label(
    axes: Axes,
    strips: Sequence[tuple[float, str]],
    heads: Sequence[tuple[float, str]],
    longest: int,
) -> None:
    """Name the strips and, above them, the models."""
    axes.xaxis.set_ticks_position("top")
    axes.set_xticks([x for x, _ in strips], [text for _, text in strips], rotation=90, fontsize=6.5)
    above = axes.secondary_xaxis("top")
    room = "\n" * max(3, -(-longest * 2 // 5))
    above.set_xticks([x for x, _ in heads], [f"{text}{room}" for _, text in heads], fontsize=6.5)
    above.tick_params(length=0)
    above.spines["top"].set_visible(False)


def _counted(contrast: Contrast | None) -> list[str]:
    if contrast is None:
        return []
    return [f"{contrast.a} only", f"{contrast.b} only", "valid in both"]


def _count(
    axes: Axes, drawn: Drawn, task: Task, centres: Mapping[Line, float], bottom: float
) -> None:
    """Write below the strips how many scenarios are the event at one end of the contrast alone."""
    for line, x in centres.items():
        row = drawn.difference(task, line, drawn.contrasts[0])
        for at, name in enumerate(("only_a", "only_b", "pairs")):
            words = (row[name] if row else "") or "–"
            axes.text(x, _count_line(bottom, at), words, ha="center", va="center", fontsize=7)


def _count_line(bottom: float, line: int) -> float:
    return bottom + _BELOW + _LINE * line


def _field(x: float, y: float, part: int, parts: int) -> Field:
    """Corners of a field, or of one sample's share of it."""
    left, top, bottom = x + 0.05, y + 0.06, y + 0.94
    width = 0.9 / parts
    left += part * width
    return [(left, top), (left + width, top), (left + width, bottom), (left, bottom)]
