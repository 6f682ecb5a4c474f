"""Measurements to ``bench.csv``, a table in Markdown and a figure."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

COLUMNS = (
    "case",
    "contender",
    "requests",
    "generated_tokens",
    "seconds_median",
    "seconds_min",
    "seconds_max",
    "ratio",
    "identical_share",
    "cpu_seconds_median",
)
OURS = "this engine"


@dataclass
class Row:
    """One contender in one case; ``seconds`` grows by a value per repetition."""

    case: str
    contender: str
    requests: int
    generated_tokens: int = 0
    seconds: list[float] = field(default_factory=list)
    identical_share: float | None = None
    cpu_seconds: list[float] = field(default_factory=list)

    @property
    def speed(self) -> float:
        """Generated tokens per second, by the median."""
        return self.generated_tokens / median(self.seconds)


def ratio(row: Row, rows: Sequence[Row]) -> float | None:
    """Return this engine's speed over the row's, in the same case."""
    ours = next((r for r in rows if r.case == row.case and r.contender == OURS), None)
    return ours.speed / row.speed if ours is not None else None


def write(folder: Path, rows: Sequence[Row], machine: str) -> None:
    """Write ``bench.csv``, ``bench.md`` and ``bench.svg`` to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "bench.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(_cells(row, rows) for row in rows)
    lines = [
        f"Measured on {machine}.",
        "",
        "Processor seconds count all threads of a contender and hardly depend on what else the "
        "machine does; the other times do.",
        "",
        "| case | contender | requests | tokens | tokens/s | seconds (min–max) | this engine is | "
        "identical to its own width 1 | processor seconds |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        times = ratio(row, rows)
        same = row.identical_share
        lines.append(
            f"| {row.case} | {row.contender} | {row.requests} | {row.generated_tokens} | "
            f"{row.speed:.0f} | {median(row.seconds):.1f} "
            f"({min(row.seconds):.1f}–{max(row.seconds):.1f}) | "
            f"{'' if times is None or row.contender == OURS else f'{times:.2f} ×'} | "
            f"{'' if same is None else f'{same:.0%}'} | "
            f"{f'{median(row.cpu_seconds):.1f}' if row.cpu_seconds else ''} |"
        )
    (folder / "bench.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    _draw(folder / "bench.svg", rows)


def _cells(row: Row, rows: Sequence[Row]) -> list[str | int]:
    times = ratio(row, rows)
    return [
        row.case,
        row.contender,
        row.requests,
        row.generated_tokens,
        *(f"{pick(row.seconds):.3f}" for pick in (median, min, max)),
        "" if times is None else f"{times:.3f}",
        "" if row.identical_share is None else f"{row.identical_share:.4f}",
        f"{median(row.cpu_seconds):.3f}" if row.cpu_seconds else "",
    ]


def _draw(path: Path, rows: Sequence[Row]) -> None:
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    cases = [case for case in dict.fromkeys(row.case for row in rows) if case != "identity"]
    if not cases:
        return
    sizes = [sum(row.case == case for row in rows) for case in cases]
    figure, axes = plt.subplots(
        len(cases),
        1,
        figsize=(8, 0.35 * sum(sizes) + 0.7 * len(cases)),
        height_ratios=sizes,
        layout="constrained",
        squeeze=False,
    )
    for axis, case in zip(axes[:, 0], cases, strict=True):
        here = [row for row in rows if row.case == case][::-1]
        colours = ["#0072B2" if row.contender == OURS else "#999999" for row in here]
        bars = axis.barh(
            [row.contender for row in here], [row.speed for row in here], color=colours
        )
        axis.bar_label(bars, fmt="%.0f", padding=3, fontsize=8)
        axis.set_title(case, loc="left", fontsize=9)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    axes[-1, 0].set_xlabel("generated tokens per second")
    figure.savefig(path)
    plt.close(figure)
