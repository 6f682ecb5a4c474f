"""The verb ``cues``: which words tell one label from another, on the development half alone.

For whoever writes a rubric: the completions of held-out scenarios are dropped as they are read,
so no cue can be written from them.
"""

import math
from collections import Counter, defaultdict
from pathlib import Path
from typing import Annotated

import typer

from steerability.agreement.pairs import is_development
from steerability.judges.files import read_labels
from steerability.judges.measures import shingles, words_of
from steerability.protocol.records import LABELS, Completion
from steerability.support.errors import UserError
from steerability.support.jsonl import read_records

_LONGEST = 3


def cues(
    completions: Annotated[list[Path], typer.Option(help="Completions, labelled by --labels.")],
    labels: Annotated[list[Path], typer.Option(help="The labels to tell apart.")],
    label: Annotated[str, typer.Option(help="The label that cues should speak for.")],
    against: Annotated[str, typer.Option(help="The label to tell it from.")] = "no_convergence",
    scenarios: Annotated[int, typer.Option(min=1, help="Fewest scenarios with the words.")] = 6,
    most: Annotated[int, typer.Option(min=1, help="Lines to print.")] = 100,
) -> None:
    """Print runs of one to three words by how much more often one label's responses hold them.

    Each line has z (two proportions), cells of --label and of --against, scenarios, words. Only
    the development half of the scenarios is read.
    """
    for name in (label, against):
        if name not in LABELS:
            raise UserError(f"{name!r} is no label", mend=f"one of {', '.join(LABELS)}")
    truth = {row.id: row.label for group in read_labels(labels).values() for row in group.values()}
    cells: Counter[str] = Counter()
    held: dict[str, Counter[str]] = {label: Counter(), against: Counter()}
    places: dict[str, set[str]] = defaultdict(set)
    for path in completions:
        for row in read_records(path, Completion):
            given = truth.get(row.id)
            if given not in held or not is_development(row.scenario):
                continue
            words = words_of(row.response)
            runs = {
                " ".join(run) for size in range(1, _LONGEST + 1) for run in shingles(words, size)
            }
            cells[given] += 1
            held[given].update(runs)
            for run in runs:
                places[run].add(row.scenario)
    total = cells[label], cells[against]
    if not all(total):
        raise UserError(f"no development cell is labelled {label if not total[0] else against}")
    lines = []
    for run, where in places.items():
        if len(where) >= scenarios:
            counts = held[label][run], held[against][run]
            lines.append((_z(counts, total), *counts, len(where), run))
    for z, mine, theirs, where_count, run in sorted(lines, key=lambda line: (-line[0], line[4]))[
        :most
    ]:
        print(f"{z:7.1f} {mine:5d} {theirs:5d} {where_count:4d}  {run}")


def _z(counts: tuple[int, int], cells: tuple[int, int]) -> float:
    """Return the z statistic of two proportions, pooled, half a cell added to each count."""
    first, second = ((count + 0.5) / (n + 1) for count, n in zip(counts, cells, strict=True))
    pooled = (sum(counts) + 1) / (sum(cells) + 2)
    spread = math.sqrt(pooled * (1 - pooled) * sum(1 / (n + 1) for n in cells))
    return (first - second) / spread
