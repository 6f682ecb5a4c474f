"""Whether a judge's probabilities mean what they say."""

import math
from collections.abc import Sequence

from steerability.agreement.pairs import Pair, number
from steerability.protocol.records import LABELS
from steerability.support.tables import Field

BINS = 10
TOP = "top"
COLUMNS = ("judge", "evaluation", "label", "low", "high", "n", "probability", "frequency")


def expected_calibration_error(pairs: Sequence[Pair]) -> float:
    """Return the expected calibration error of the label that a judge gives.

    Ten bins of equal width over the probability of the given label; the mean, weighted by cells,
    of the distance between accuracy and mean probability (Guo et al. 2017, On Calibration of
    Modern Neural Networks). NaN where a judge has no probabilities.
    """
    points = _points(pairs, TOP)
    if not points:
        return math.nan
    return math.fsum(
        abs(math.fsum(p for p, _ in group) - sum(hit for _, hit in group)) / len(points)
        for group in _bins(points)
        if group
    )


def brier_score(pairs: Sequence[Pair]) -> float:
    """Return the mean squared distance from the reference, summed over labels (0 best, 2 worst).

    Source: Brier (1950), Monthly Weather Review 78, 1-3. NaN without probabilities.
    """
    scored = [pair for pair in pairs if pair.probabilities is not None]
    if not scored:
        return math.nan
    return math.fsum(
        ((pair.probabilities or {}).get(label, 0.0) - (pair.reference == label)) ** 2
        for pair in scored
        for label in LABELS
    ) / len(scored)


def calibration_rows(pairs: Sequence[Pair]) -> list[dict[str, Field]]:
    """Return the rows of ``calibration.csv``, judge and evaluation left out.

    One row per bin that holds cells: for the given label (``top``) and for every label against
    the rest. ``probability`` is the bin's mean, ``frequency`` how often it came true.
    """
    rows: list[dict[str, Field]] = []
    for label in (TOP, *LABELS):
        for at, group in enumerate(_bins(_points(pairs, label))):
            if group:
                rows.append(
                    {
                        "label": label,
                        "low": f"{at / BINS:.1f}",
                        "high": f"{(at + 1) / BINS:.1f}",
                        "n": len(group),
                        "probability": number(math.fsum(p for p, _ in group) / len(group)),
                        "frequency": number(sum(hit for _, hit in group) / len(group)),
                    }
                )
    return rows


def _points(pairs: Sequence[Pair], label: str) -> list[tuple[float, bool]]:
    points = []
    for pair in pairs:
        if pair.probabilities is None:
            continue
        asked = pair.label if label == TOP else label
        given = {str(name): value for name, value in pair.probabilities.items()}
        if asked in given:
            points.append((given[asked], pair.reference == asked))
    return points


def _bins(points: Sequence[tuple[float, bool]]) -> list[list[tuple[float, bool]]]:
    groups: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for probability, hit in points:
        groups[min(int(probability * BINS), BINS - 1)].append((probability, hit))
    return groups
