"""One style for all figures, and saving them to the same bytes on every machine."""

import io
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from steerability.protocol.design import Design
from steerability.protocol.scale import JUDGE_FAILED, Scale
from steerability.report.long_tables import Row, number
from steerability.support.files import write_atomic
from steerability.support.text import for_line

# width of a column of a paper, inches: every figure is readable at it
COLUMN = 3.5
# Okabe and Ito's palette, told apart with any colour vision (https://jfly.uni-koeln.de/color/)
_ROLE_COLOURS = {"amplify": "#D55E00", "baseline": "#6E6E6E", "suppress": "#0072B2"}
_ROLE_MARKERS = {"amplify": "o", "baseline": "s", "suppress": "D"}
# five colours and seven markers: thirty-five looks before one comes again
CYCLE = ("#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = ("^", "v", "P", "X", "<", ">", "p")
_OUTCOME_CYCLE = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#D55E00", "#0072B2")
INK = "#222222"
FAINT = "#D9D9D9"
_RC: dict[Any, Any] = {
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.grid.axis": "x",
    "axes.axisbelow": True,
    "axes.labelsize": 7.5,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 8,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "hatch.color": "white",
    "hatch.linewidth": 0.6,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "legend.handlelength": 1.2,
    "legend.columnspacing": 1.2,
    "svg.fonttype": "path",
    # names and notes are texts: a dollar sign in them begins no formula
    "text.parse_math": False,
    "svg.hashsalt": "steerability",
    "text.color": INK,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.6,
    "ytick.major.size": 0,
}
_DOTS_PER_INCH = 220
_DARK = 60.0


@contextmanager
def style() -> Iterator[None]:
    """Draw within this context: our settings on matplotlib's defaults, its bundled fonts only.

    Neither a user's ``matplotlibrc`` nor the fonts of the machine have a say.
    """
    manager = font_manager.fontManager
    fonts = manager.ttflist
    bundled = mpl.get_data_path()
    find: Any = vars(font_manager.FontManager)["_findfont_cached"]
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        manager.ttflist = [font for font in fonts if font.fname.startswith(bundled)]
        find.cache_clear()
        try:
            yield
        finally:
            manager.ttflist = fonts
            find.cache_clear()


def save(figure: Figure, folder: Path, name: str, title: str, caption: str) -> list[Path]:
    """Write a figure as SVG (text as outlines) and PNG without dates or versions.

    Args:
        figure: drawn within ``style``.
        folder: where to; made if need be.
        name: the files' name without suffix.
        title: what a screen reader says of the SVG; control characters are left out, as in the
            caption.
        caption: the SVG's description: what is drawn, n and method.

    Returns:
        The two files written.
    """
    title, caption = plain(title), plain(caption)
    formats: dict[str, dict[str, str | None]] = {
        "svg": {
            "Date": None,
            "Creator": None,
            "Title": for_line(title),
            "Description": for_line(caption),
        },
        "png": {"Software": None},
    }
    written = []
    for suffix, metadata in formats.items():
        content = io.BytesIO()
        figure.savefig(content, format=suffix, dpi=_DOTS_PER_INCH, metadata=metadata)
        written.append(folder / f"{name}.{suffix}")
        write_atomic(written[-1], content.getvalue())
    return written


def whiskers(
    axes: Axes,
    value: float,
    y: float,
    bounds: tuple[float | None, float | None],
    marker: str,
    colour: str,
    face: str | None = None,
) -> None:
    """Draw a value with its interval on a line of its own; no interval where a bound is None."""
    low, high = bounds
    below = 0.0 if low is None else max(0.0, value - low)
    above = 0.0 if high is None else max(0.0, high - value)
    axes.errorbar(
        value,
        y,
        xerr=[[below], [above]],
        fmt=marker,
        color=colour,
        markerfacecolor=face or colour,
        markersize=4,
        elinewidth=1.1,
    )


def heat_map(
    axes: Axes, shares: NDArray[np.float64], texts: Mapping[tuple[int, int], str]
) -> AxesImage:
    """Draw shares as shades with a text in every field.

    Args:
        axes: to draw into; its ticks keep their labels and lose their marks.
        shares: per cent, shape (lines, columns); NaN stays white.
        texts: what to write into a field, by line and column.
    """
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    for (line, column), text in texts.items():
        colour = "white" if shares[line, column] > _DARK else INK
        axes.text(column, line, text, ha="center", va="center", color=colour, fontsize=7)
    lines, columns = shares.shape
    axes.tick_params(length=0)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xticks(np.arange(1, columns) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, lines) - 0.5, minor=True)
    axes.tick_params(which="minor", length=0)
    axes.grid(True, which="minor", axis="both", color="white", linewidth=1.5)
    return image


def empty(text: str) -> Figure:
    """Return a figure that says why there is nothing to draw."""
    lines = wrap(text, 56)
    figure = Figure(figsize=(COLUMN, 0.65 + 0.15 * (1 + lines.count("\n"))))
    figure.text(0.5, 0.5, lines, ha="center", va="center")
    return figure


def roomy(axes: Axes, least: float = 20.0) -> None:
    """Widen the x axis to at least so many points, so that a lone value is not blown up."""
    low, high = axes.get_xlim()
    short = max(0.0, least - (high - low)) / 2
    axes.set_xlim(low - short, high + short)


def mark(axes: Axes, marker: str, colour: str, label: str, face: str | None = None) -> None:
    """Add a marker to the legend."""
    looks: dict[str, Any] = {"color": colour, "markerfacecolor": face or colour, "markersize": 4}
    axes.plot([], [], marker, label=legible(label), **looks)


def plain(text: str) -> str:
    """Return a text as one line that can stand in a figure: no control characters, no breaks."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def legible(text: str) -> str:
    """Return a text for a legend, which leaves out what begins with an underscore."""
    return f" {text}" if text.startswith("_") else text


def wrap(text: str, width: int) -> str:
    """Break a label into lines of at most so many characters, where it has spaces if it can."""
    text = plain(text)
    return "\n".join(textwrap.wrap(text, width, break_long_words=len(text) > 3 * width)) or text


def interval_name(confidence: float) -> str:
    """Return what a figure calls an interval of this coverage."""
    return f"{100 * confidence:g} % CI"


def signed(value: float) -> str:
    """Return a figure as the tables print it, with a true minus sign."""
    text = f"{value:.2f}"
    return "0.00" if text == "-0.00" else text.replace("-", "\N{MINUS SIGN}")


def estimate_lines(row: Row | None, names: tuple[str, str, str]) -> str:
    """Return an estimate and, on a line of its own, its interval; a dash where there is none.

    Args:
        row: that holds them.
        names: the columns of estimate, lower and upper bound.
    """
    value, low, high = (number(row, name) for name in names)
    if value is None:
        return "–"
    if low is None or high is None:
        return signed(value)
    return f"{signed(value)}\n({signed(low)} to {signed(high)})"


class Look(NamedTuple):
    """How something is drawn that stands beside others of its kind."""

    marker: str
    colour: str


def cycle_look(at: int) -> Look:
    """Return the look of the ``at``-th of things that have no colours of their own."""
    return Look(_MARKERS[at % len(_MARKERS)], CYCLE[at % len(CYCLE)])


def intervention_looks(design: Design, interventions: Iterable[str]) -> dict[str, Look]:
    """Return colour and marker by intervention.

    The first of each role has the role's own, all others one of the cycle, in their order.
    """
    looks: dict[str, Look] = {}
    taken: set[str] = set()
    further = 0
    for name in design.order(interventions):
        role = design.role(name)
        if role and role not in taken:
            taken.add(role)
            looks[name] = Look(_ROLE_MARKERS[role], _ROLE_COLOURS[role])
        else:
            looks[name] = cycle_look(further)
            further += 1
    return looks


def outcome_colours(scale: Scale) -> dict[str, str]:
    """Return the colour of every label of a scale; one that names none has the cycle's."""
    named = {outcome.colour for outcome in scale.outcomes}
    free = [colour for colour in _OUTCOME_CYCLE if colour not in named] or list(_OUTCOME_CYCLE)
    colours: dict[str, str] = {}
    for label in scale.labels:
        colour = scale.outcome(label).colour
        if colour is None:
            colour = free[sum(c in free for c in colours.values()) % len(free)]
        colours[label] = colour
    return colours


def outcome_words(scale: Scale, label: str) -> str:
    """Return a label as readers see it."""
    return JUDGE_FAILED.replace("_", " ") if label == JUDGE_FAILED else scale.outcome(label).words


def between_rows(axes: Axes, names: Sequence[str]) -> None:
    """Name the rows of a figure from the top down, with a faint line between each two."""
    for at in range(1, len(names)):
        axes.axhline(at - 0.5, color=FAINT, linewidth=0.5)
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(len(names) - 0.5, -0.5)


def spread(at: int, many: int, step: float) -> float:
    """Return how far off the middle of its row the ``at``-th of so many marks stands."""
    return (at - (many - 1) / 2) * step
