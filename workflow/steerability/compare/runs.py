"""Two runs against each other: flips by cell, change of every rate, equivalence."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from steerability.config.analysis import Analysis
from steerability.estimate.contrast import Contrast, swap_matrix
from steerability.estimate.grid import ABSENT, CONVERGENCE, REFUSAL, Grid, grid_of, valid
from steerability.estimate.paired import Pairs, mcnemar, newcombe, pair
from steerability.estimate.rates import Interval, points_text
from steerability.inference.families import holm, p_text
from steerability.score.cells import CellRow
from steerability.support.errors import UserError
from steerability.support.tables import Field

COLUMNS = (
    *("judge", "model_a", "model_b", "condition", "rate", "n", "only_a", "only_b"),
    *("value_a", "value_b", "change", "low", "high", "p", "p_adjusted"),
    *("margin", "p_equivalence", "equivalent"),
)
FLIP_COLUMNS = (
    *("judge", "model_a", "model_b", "intervention", "category", "scenario", "label_a", "label_b"),
    *("completion_a", "completion_b", "same_text"),
)
_SAME = ("model", "size", "stage", "category")
_RATES = {"convergence": CONVERGENCE, "refusal": REFUSAL}


@dataclass(frozen=True)
class RunComparison:
    """What two runs have in common and how it changed.

    Attributes:
        rows: of ``compare.csv``.
        flips: of ``flips.csv``: cells whose label differs.
        cells: cells that both runs have.
        same_text: of those, cells with the same completion.
        left_out: rows (cell and judge) of the first and of the second run that the other lacks.
    """

    rows: list[dict[str, Field]]
    flips: list[dict[str, Field]]
    cells: int
    same_text: int
    left_out: tuple[int, int]


def compare_runs(
    a: Sequence[CellRow], b: Sequence[CellRow], pairs: Mapping[str, str], plan: Analysis
) -> RunComparison:
    """Compare the cells that two runs share, judge by judge.

    Args:
        a: cells of the first run.
        b: cells of the second run; every change is b minus a.
        pairs: model of a to model of b where they are named differently; the models that are not
            named here are compared with the one of the same name.
        plan: confidence, margin of equivalence in points, seeds.

    Raises:
        UserError: a named model is not there, or the runs share no cell and judge.
    """
    partner = _partners(a, b, pairs)
    back = {other: name for name, other in partner.items()}
    of_a = {_key(row, row.model): row for row in a if row.model in partner}
    of_b = {_key(row, back[row.model]): row for row in b if row.model in back}
    shared = [key for key in of_a if key in of_b]
    if not shared:
        raise UserError("the two runs share no cell and judge", mend="pair models with --pair A=B")
    judges = dict.fromkeys(of_a[key].judge for key in shared)
    rows: list[dict[str, Field]] = []
    for judge in judges:
        keys = [key for key in shared if of_a[key].judge == judge]
        left = grid_of([of_a[key] for key in keys], judge)
        renamed = [
            of_b[key].model_copy(update={name: getattr(of_a[key], name) for name in _SAME})
            for key in keys
        ]
        rows += _changes(left, grid_of(renamed, judge), partner, plan)
    adjusted = holm([math.nan if row["p"] is None else float(row["p"]) for row in rows])
    for row, p in zip(rows, adjusted, strict=True):
        row["p_adjusted"] = p_text(p)
    texts = {key[:3]: of_a[key].completion_sha256 == of_b[key].completion_sha256 for key in shared}
    return RunComparison(
        rows=rows,
        flips=[_flip(of_a[key], of_b[key]) for key in shared if of_a[key].label != of_b[key].label],
        cells=len(texts),
        same_text=sum(texts.values()),
        left_out=(len(a) - len(shared), len(b) - len(shared)),
    )


def _key(row: CellRow, model: str) -> tuple[str, str, str, str]:
    return model, row.intervention, row.scenario, row.judge


def _partners(
    a: Sequence[CellRow], b: Sequence[CellRow], pairs: Mapping[str, str]
) -> dict[str, str]:
    names_a = dict.fromkeys(row.model for row in a)
    names_b = dict.fromkeys(row.model for row in b)
    for left, right in pairs.items():
        if left not in names_a or right not in names_b:
            missing, run = (left, "first") if left not in names_a else (right, "second")
            raise UserError(f"the {run} run has no model {missing}", where="--pair")
    same = {n: n for n in names_a if n in names_b and n not in pairs and n not in pairs.values()}
    return {name: {**same, **pairs}[name] for name in names_a if name in {**same, **pairs}}


def _flip(a: CellRow, b: CellRow) -> dict[str, Field]:
    return {
        "judge": a.judge,
        "model_a": a.model,
        "model_b": b.model,
        "intervention": a.intervention,
        "category": a.category,
        "scenario": a.scenario,
        "label_a": a.label,
        "label_b": b.label,
        "completion_a": a.completion_sha256,
        "completion_b": b.completion_sha256,
        "same_text": str(a.completion_sha256 == b.completion_sha256).lower(),
    }


def _changes(
    a: Grid, b: Grid, partner: Mapping[str, str], plan: Analysis
) -> Iterator[dict[str, Field]]:
    for at, model in enumerate(a.models):
        who: dict[str, Field] = {"judge": a.judge, "model_a": model.name}
        who["model_b"] = partner[model.name]
        for condition in a.conditions:
            labels_a, labels_b = a.of(at, condition), b.of(at, condition)
            if (labels_a == ABSENT).all():
                continue
            usable = valid(labels_a) & valid(labels_b)
            present = (labels_a != ABSENT) & (labels_b != ABSENT)
            for name, code in _RATES.items():
                x, y = labels_a[usable] == code, labels_b[usable] == code
                yield who | {"condition": condition, "rate": name} | _paired(x, y, plan)
            x, y = ~valid(labels_a)[present], ~valid(labels_b)[present]
            yield who | {"condition": condition, "rate": "invalid"} | _paired(x, y, plan)
        if {"pro", "anti"} <= set(a.conditions):
            yield who | {"condition": "pro - anti", "rate": "delta"} | _gap(a, b, at, plan)


def _paired(a: NDArray[np.bool_], b: NDArray[np.bool_], plan: Analysis) -> dict[str, Field]:
    pairs = Pairs(
        int((b & a).sum()), int((b & ~a).sum()), int((a & ~b).sum()), int((~a & ~b).sum())
    )
    n = pairs.n
    interval = newcombe(pairs, plan.confidence) or (math.nan, math.nan)
    p = equivalence_p(lambda level: newcombe(pairs, level), plan.margin / 100)
    return {
        "n": n,
        "only_a": pairs.only_b,
        "only_b": pairs.only_a,
        "value_a": points_text(int(a.sum()) / n if n else math.nan),
        "value_b": points_text(int(b.sum()) / n if n else math.nan),
        "change": points_text(pairs.difference),
        "low": points_text(interval[0]),
        "high": points_text(interval[1]),
        "p": p_text(mcnemar(pairs.only_a, pairs.only_b)) if n else None,
        "p_adjusted": None,
        **_equivalence(p, plan),
    }


def equivalence_p(interval: Callable[[float], Interval | None], margin: float) -> float:
    """Return the p-value of two one-sided tests that a change lies within the margin.

    Source: Schuirmann (1987), Journal of Pharmacokinetics and Biopharmaceutics 15, 657-680: level
    alpha where the 1 - 2 alpha interval lies inside the margin; the p-value is the least such
    alpha. Intervals by Newcombe keep their width where no pair differs, a t-test's have none.

    Args:
        interval: the change's interval at a confidence, None without pairs.
        margin: greatest change that does not count, a proportion.
    """

    def inside(alpha: float) -> bool:
        bounds = interval(1 - 2 * alpha)
        return bounds is not None and -margin < bounds[0] and bounds[1] < margin

    low, high = 1e-10, 0.5 - 1e-10
    if interval(0.5) is None:
        return math.nan
    if not inside(high):
        return 1.0
    while high - low > 1e-5 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if inside(middle) else (middle, high)
    return high


def _equivalence(p: float, plan: Analysis) -> dict[str, Field]:
    verdict = None if math.isnan(p) else ("yes" if p <= plan.alpha else "not shown")
    return {"margin": f"{plan.margin:g}", "p_equivalence": p_text(p), "equivalent": verdict}


def gap_change_interval(pro: Pairs, anti: Pairs, confidence: float) -> Interval | None:
    """Return the interval of the change under pro minus the change under anti.

    Newcombe's intervals of the two are added in squares, taking the changes as independent.
    Source: Donner and Zou (2012), Statistical Methods in Medical Research 21, 347-359 (MOVER).

    Args:
        pro: outcomes under pro, after and before.
        anti: outcomes under anti, after and before.
        confidence: of the interval.

    Returns:
        Lower and upper bound; None without pairs under one of them.
    """
    up, down = newcombe(pro, confidence), newcombe(anti, confidence)
    if up is None or down is None:
        return None
    change = pro.difference - anti.difference
    low = change - math.hypot(pro.difference - up[0], down[1] - anti.difference)
    high = change + math.hypot(up[1] - pro.difference, anti.difference - down[0])
    return low, high


def _gap(a: Grid, b: Grid, at: int, plan: Analysis) -> dict[str, Field]:
    """Change of the gap over outputs valid in both runs; p by the paired permutation test."""
    sides: list[NDArray[np.int8]] = []
    changes: list[Pairs] = []
    values = [0.0, 0.0]
    for condition, sign in (("pro", 1), ("anti", -1)):
        before, after = a.of(at, condition), b.of(at, condition)
        usable = valid(before) & valid(after)
        sides += [np.where(usable, labels, np.int8(ABSENT)) for labels in (after, before)]
        pairs = pair(after, before)
        changes.append(pairs)
        for side, only in enumerate((pairs.only_b, pairs.only_a)):
            values[side] += sign * (pairs.both + only) / pairs.n if pairs.n else math.nan
    pro, anti = changes
    test = Contrast(np.array([1.0, -1.0]), np.stack(sides[::2]), np.stack(sides[1::2]))
    interval = partial(gap_change_interval, pro, anti)
    low, high = interval(plan.confidence) or (math.nan, math.nan)
    swaps = swap_matrix(len(a.scenarios), plan.permutations, plan.seed)
    return {
        "n": min(pro.n, anti.n),
        "only_a": None,
        "only_b": None,
        "value_a": points_text(values[0]),
        "value_b": points_text(values[1]),
        "change": points_text(pro.difference - anti.difference),
        "low": points_text(low),
        "high": points_text(high),
        "p": p_text(test.permutation_p(swaps)),
        "p_adjusted": None,
        **_equivalence(equivalence_p(interval, plan.margin / 100), plan),
    }
