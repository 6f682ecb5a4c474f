"""The verb ``label-agreement``."""

import re
import statistics
from pathlib import Path
from typing import Annotated

import typer

from steerability.agreement.coefficients import by_scenario, coefficients, confusion, intervals
from steerability.labelling.agreement import Both, agreed_lines, join, pairs_of
from steerability.labelling.files import LabelFile, read_label_file
from steerability.protocol.base import LARGEST, NAME_PATTERN
from steerability.support.errors import UserError
from steerability.support.files import write_atomic

TITLES = {"accuracy": "agreement", "kappa": "Cohen's kappa", "alpha": "Krippendorff's alpha"}


def label_agreement(
    first: Annotated[Path, typer.Argument(help="The first rater's label file.")],
    second: Annotated[Path, typer.Argument(help="The second rater's.")],
    agreed: Annotated[
        Path | None, typer.Option(help="Write the labels that both gave to this file.")
    ] = None,
    name: Annotated[str, typer.Option(help="The rater of that file.")] = "agreed",
    seed: Annotated[int, typer.Option(min=0, max=LARGEST, help="Of the bootstrap.")] = 20260104,
    resamples: Annotated[int, typer.Option(min=100, help="Bootstrap resamples.")] = 10_000,
    confidence: Annotated[float, typer.Option(min=0.5, max=0.999, help="Coverage.")] = 0.95,
) -> None:
    """Say how far two raters agree, and on which answers they do not.

    Intervals are by bootstrap over scenarios. With --agreed the labels that both gave become a
    file; opened on the page under its rater's name, it leaves the others to be decided.
    """
    one, other = read_label_file(first), read_label_file(second)
    both = join(one, other)
    labels = one.header.labels
    pairs = pairs_of(both)
    counts = confusion(pairs, labels)
    values = coefficients(counts)
    bounds = intervals(
        by_scenario(pairs, labels), seed=seed, resamples=resamples, confidence=confidence
    )
    scenarios = len({cell.scenario for cell in both})
    print(f"label-agreement: {one.header.rater} and {other.header.rater}")
    print(f"n: {len(both)} answers of {scenarios} scenarios")
    for coefficient, title in TITLES.items():
        low, high = bounds[coefficient]
        print(f"{title}: {values[coefficient]:.3f} ({low:.3f} to {high:.3f})")
    for line in _table(one, other, counts.tolist()):
        print(line)
    for file in (one, other):
        print(_habits(file))
    for cell in both:
        if not cell.agreed:
            print(_difference(one, cell))
    if agreed is not None:
        if not re.fullmatch(NAME_PATTERN, name):
            raise UserError(f"{name!r} is no name", where="--name", mend="letters, digits, . _ -")
        write_atomic(agreed, agreed_lines(one, both, name).encode("utf-8"))
        print(f"agreed: {sum(cell.agreed for cell in both)} labels in {agreed}, rater {name}")


def _table(one: LabelFile, other: LabelFile, counts: list[list[int]]) -> list[str]:
    labels = one.header.labels
    wide = max(map(len, (*labels, one.header.rater, other.header.rater)))
    rows = [[f"{one.header.rater} \\ {other.header.rater}", *labels]]
    rows += [[name, *map(str, row)] for name, row in zip(labels, counts, strict=True)]
    first = max(len(row[0]) for row in rows)
    return [
        "  ".join([row[0].ljust(first), *(cell.rjust(wide) for cell in row[1:])]) for row in rows
    ]


def _habits(file: LabelFile) -> str:
    ratings = file.ratings.values()
    times = [one.seconds for one in ratings if one.seconds is not None]
    pace = f", median {statistics.median(times):.0f} s an answer" if times else ""
    unsure = sum(one.unsure for one in ratings)
    return f"{file.header.rater}: {len(ratings)} labels, {unsure} unsure{pace}"


def _difference(one: LabelFile, cell: Both) -> str:
    place = [name for name, _ in one.header.drawn].index(cell.cell) + 1
    said = [
        f"{rating.judge} {rating.label}{' (unsure)' if rating.unsure else ''}"
        + (f" – {_printable(rating.reason)}" if rating.reason else "")
        for rating in (cell.first, cell.second)
    ]
    return f"differs: answer {place} ({cell.cell}): {'; '.join(said)}"


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))
