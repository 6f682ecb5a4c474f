"""One style for all figures, and saving them to the same bytes on every machine."""

import io
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from steerability.report.tables.table1 import Row
from steerability.support.files import write_atomic
from steerability.support.text import for_line

# width of a column of a paper, inches: every figure is readable at it
COLUMN = 3.5
# Okabe and Ito's palette, told apart with any colour vision (https://jfly.uni-koeln.de/color/)
CONDITION_COLOURS = {"pro": "#D55E00", "none": "#6E6E6E", "anti": "#0072B2"}
CONDITION_MARKERS = {"pro": "o", "none": "s", "anti": "D"}
CONDITION_NAMES = {"pro": "pro", "none": "no suffix", "anti": "anti"}
OUTCOME_COLOURS = {
    "convergence": "#D55E00",
    "no_convergence": "#A6D5F0",
    "safety_refusal": "#009E73",
    "nonsensical": "#C9C9C9",
    "judge_failed": "#000000",
}
OUTCOME_HATCHES = {"nonsensical": "////", "safety_refusal": "\\\\\\\\"}
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
        title: what a screen reader says of the SVG.
        caption: the SVG's description: what is drawn, n and method.

    Returns:
        The two files written.
    """
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
    figure = Figure(figsize=(COLUMN, 0.8))
    figure.text(0.5, 0.5, text, ha="center", va="center")
    return figure


def roomy(axes: Axes, least: float = 20.0) -> None:
    """Widen the x axis to at least so many points, so that a lone value is not blown up."""
    low, high = axes.get_xlim()
    short = max(0.0, least - (high - low)) / 2
    axes.set_xlim(low - short, high + short)


def mark(axes: Axes, marker: str, colour: str, label: str, face: str | None = None) -> None:
    """Add a marker to the legend."""
    looks: dict[str, Any] = {"color": colour, "markerfacecolor": face or colour, "markersize": 4}
    axes.plot([], [], marker, label=label, **looks)


def wrap(text: str, width: int) -> str:
    """Break a label into lines of at most so many characters where it has spaces."""
    return "\n".join(textwrap.wrap(text, width, break_long_words=False)) or text


def number(row: Row, name: str) -> float | None:
    """Return a published field as a number, None where it is empty."""
    value = row[name]
    return None if value is None else float(value)


def interval_name(confidence: float) -> str:
    """Return what a figure calls an interval of this coverage."""
    return f"{100 * confidence:g} % CI"


def signed(value: float) -> str:
    """Return points as the tables print them, with a true minus sign."""
    text = f"{value:.2f}"
    return "0.00" if text == "-0.00" else text.replace("-", "\N{MINUS SIGN}")


def gap_lines(row: Row) -> str:
    """Return the gap and, on a line of its own, its interval."""
    gap, low, high = (number(row, name) for name in ("delta", "delta_low", "delta_high"))
    if gap is None:
        return "–"
    if low is None or high is None:
        return signed(gap)
    return f"{signed(gap)}\n({signed(low)} to {signed(high)})"
