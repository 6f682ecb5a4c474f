"""How far a judge agrees with reference labels: coefficients over a confusion matrix.

A confusion matrix has one row per reference label (an outcome of the scale) and one column per
answer of the judge (an outcome, or ``judge_failed``), and holds counts. Every coefficient here is
a function of it alone, so a resample of scenarios is a weighted sum of the scenarios' matrices, in
integers.
"""

import math
from collections.abc import Sequence

import krippendorff
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score

from steerability.agreement.calibration import brier_score, expected_calibration_error
from steerability.agreement.pairs import Pair, number
from steerability.estimate.bootstrap import percentile_interval
from steerability.protocol.scale import BEHAVIOUR, JUDGE_FAILED
from steerability.support.tables import Field

ANSWERS: tuple[str, ...] = (*BEHAVIOUR.names, JUDGE_FAILED)
COEFFICIENTS = ("accuracy", "kappa", "ac1", "alpha")

Counts = NDArray[np.int64]


def confusion(pairs: Sequence[Pair], labels: Sequence[str] = BEHAVIOUR.names) -> Counts:
    """Return the counts, int64, shape (reference labels, answers).

    Args:
        pairs: the cells.
        labels: the scale's outcomes; ``judge_failed`` is one more answer.
    """
    answers = (*labels, JUDGE_FAILED)
    counts = np.zeros((len(labels), len(answers)), dtype=np.int64)
    for pair in pairs:
        counts[labels.index(pair.reference), answers.index(pair.label)] += 1
    return counts


def coefficients(counts: Counts) -> dict[str, NDArray[np.float64]]:
    """Return agreement coefficients of confusion matrices.

    Accuracy; Cohen's kappa (Cohen 1960, Educational and Psychological Measurement 20, 37-46);
    AC1 (Gwet 2008, British Journal of Mathematical and Statistical Psychology 61, 29-48, with
    the number of answers that occur as the number of categories); Krippendorff's alpha for
    nominal data without missing values (Krippendorff 2011, Computing Krippendorff's
    Alpha-Reliability). Where chance agreement is certain a coefficient is NaN.

    Args:
        counts: shape (..., reference labels, answers).

    Returns:
        Coefficient by name, each of shape (...).
    """
    labels, answers = counts.shape[-2:]
    square = np.zeros((*counts.shape[:-2], answers, answers), dtype=np.float64)
    square[..., :labels, :] = counts
    total = square.sum(axis=(-2, -1))
    rows, columns = square.sum(axis=-1), square.sum(axis=-2)
    both = rows + columns
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = np.trace(square, axis1=-2, axis2=-1) / total
        cohen = (rows * columns).sum(axis=-1) / total**2
        share = both / (2 * total)[..., None]
        used = (both > 0).sum(axis=-1)
        gwet = (share * (1 - share)).sum(axis=-1) / (used - 1)
        values = 2 * total
        nominal = (both * (both - 1)).sum(axis=-1) / (values * (values - 1))
        return {
            "accuracy": observed,
            "kappa": _beyond(observed, cohen),
            "ac1": _beyond(observed, gwet),
            "alpha": _beyond(observed, nominal),
        }


def _beyond(observed: NDArray[np.float64], chance: NDArray[np.float64]) -> NDArray[np.float64]:
    result: NDArray[np.float64] = np.where(chance < 1, (observed - chance) / (1 - chance), np.nan)
    return result


def library_coefficients(pairs: Sequence[Pair]) -> dict[str, float]:
    """Return kappa by scikit-learn and alpha by the krippendorff package, for the point estimate.

    Both are the published ones; ``coefficients`` serves the resamples and is tested against them.
    NaN where they are not defined.
    """
    reference = [pair.reference for pair in pairs]
    labels = [pair.label for pair in pairs]
    seen = [answer for answer in ANSWERS if answer in {*reference, *labels}]
    if len(seen) < 2:
        return {"kappa": math.nan, "alpha": math.nan}
    codes = [[seen.index(value) for value in values] for values in (reference, labels)]
    alpha = krippendorff.alpha(
        reliability_data=codes,
        value_domain=list(range(len(seen))),
        level_of_measurement="nominal",
    )
    return {"kappa": float(cohen_kappa_score(reference, labels)), "alpha": float(alpha)}


def by_scenario(pairs: Sequence[Pair], labels: Sequence[str] = BEHAVIOUR.names) -> Counts:
    """Return one confusion matrix per scenario, in the scenarios' order.

    Args:
        pairs: the cells.
        labels: the scale's outcomes.

    Returns:
        Shape (scenarios, reference labels, answers).
    """
    groups: dict[str, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(pair.scenario, []).append(pair)
    return np.stack([confusion(groups[name], labels) for name in sorted(groups)])


def intervals(
    counts: Counts, *, seed: int, resamples: int, confidence: float
) -> dict[str, tuple[float, float]]:
    """Return percentile bootstrap intervals, scenarios drawn with replacement.

    Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapters 8 and 13;
    the scenario is the unit because a scenario's cells are alike.

    Args:
        counts: one confusion matrix per scenario, shape (S, reference labels, answers).
        seed: of numpy's PCG64.
        resamples: number of resamples.
        confidence: coverage.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    size = len(counts)
    drawn = rng.integers(0, size, size=(resamples, size))
    weights = np.zeros((resamples, size), dtype=np.int64)
    np.add.at(weights, (np.arange(resamples)[:, None], drawn), 1)
    sums = np.einsum("bs,sij->bij", weights, counts, optimize=False)
    return {
        name: percentile_interval(draws, confidence) for name, draws in coefficients(sums).items()
    }


def columns() -> tuple[str, ...]:
    """Return the header of ``agreement.csv``."""
    intervals = tuple(f"{name}_{side}" for name in COEFFICIENTS for side in ("low", "high"))
    return (
        *("judge", "evaluation", "condition", "n", "accuracy"),
        *("kappa", "kappa_low", "kappa_high", "ac1", "alpha"),
        *(name for name in intervals if not name.startswith("kappa")),
        *("scenarios", "failed", "ece", "brier"),
        *(f"precision_{label}" for label in BEHAVIOUR.names),
        *(f"recall_{label}" for label in BEHAVIOUR.names),
        *(f"count_{given}_as_{said}" for given in BEHAVIOUR.names for said in ANSWERS),
    )


def agreement_row(
    pairs: Sequence[Pair],
    *,
    seed: int,
    resamples: int,
    confidence: float,
) -> dict[str, Field]:
    """Return the figures of one row of ``agreement.csv``, judge and condition left out.

    Args:
        pairs: the cells; at least one.
        seed: of the bootstrap.
        resamples: of the bootstrap.
        confidence: coverage of the intervals.
    """
    counts = confusion(pairs)
    values = {name: float(value) for name, value in coefficients(counts).items()}
    values |= library_coefficients(pairs)
    bounds = intervals(by_scenario(pairs), seed=seed, resamples=resamples, confidence=confidence)
    row: dict[str, Field] = {
        "n": len(pairs),
        "scenarios": len({pair.scenario for pair in pairs}),
        "failed": int(counts[:, -1].sum()),
        "ece": number(expected_calibration_error(pairs)),
        "brier": number(brier_score(pairs)),
    }
    for name in COEFFICIENTS:
        row[name] = number(values[name])
        row[f"{name}_low"], row[f"{name}_high"] = (number(bound) for bound in bounds[name])
    for at, label in enumerate(BEHAVIOUR.names):
        hits = int(counts[at, at])
        row[f"precision_{label}"] = _ratio(hits, int(counts[:, at].sum()))
        row[f"recall_{label}"] = _ratio(hits, int(counts[at].sum()))
        for place, said in enumerate(ANSWERS):
            row[f"count_{label}_as_{said}"] = int(counts[at, place])
    return row


def _ratio(part: int, whole: int) -> str | None:
    return number(part / whole) if whole else None
