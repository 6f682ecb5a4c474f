"""Two runs against each other: flips by cell, change of every rate, equivalence."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from steerability.config.analysis import Analysis
from steerability.config.study import Study
from steerability.estimate.bootstrap import percentile_interval
from steerability.estimate.contrast import LinearContrast
from steerability.estimate.grid import ABSENT, Counted, Grid, grids_of
from steerability.estimate.p_values import holm, p_text
from steerability.estimate.paired import Pairs, mcnemar, newcombe, pair
from steerability.estimate.rates import Interval, points_text
from steerability.estimate.resampling import Resampling, Resamplings
from steerability.protocol.design import Contrast
from steerability.score.cells import CellRow
from steerability.support.errors import UserError
from steerability.support.tables import Field

COLUMNS = (
    *("judge", "model_a", "model_b", "condition", "rate", "n", "only_a", "only_b"),
    *("value_a", "value_b", "change", "low", "high", "p", "p_adjusted"),
    *("margin", "p_equivalence", "equivalent", "task", "guard"),
)
FLIP_COLUMNS = (
    *("judge", "model_a", "model_b", "intervention", "category", "scenario", "label_a", "label_b"),
    *("completion_a", "completion_b", "same_text", "task", "sample", "guard"),
)
INVALID = "invalid"
_SAME = ("model", "size", "stage", "category")
_CELL = ("task", "model", "intervention", "scenario", "guard", "sample")
Key = tuple[str, ...]


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
    a: Sequence[CellRow], b: Sequence[CellRow], pairs: Mapping[str, str], study: Study
) -> RunComparison:
    """Compare the cells that two runs share, judge by judge.

    Args:
        a: cells of the first run.
        b: cells of the second run; every change is b minus a.
        pairs: model of a to model of b where they are named differently; the models that are not
            named here are compared with the one of the same name.
        study: tasks, scales and roles of both; confidence, margin of equivalence in points, seeds.

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
    renamed = [
        of_b[key].model_copy(update={name: getattr(of_a[key], name) for name in _SAME})
        for key in shared
    ]
    resamplings = Resamplings(study.analysis)
    rows: list[dict[str, Field]] = []
    for grids in zip(
        grids_of([of_a[key] for key in shared], study), grids_of(renamed, study), strict=True
    ):
        change = _Change(*grids, study, resamplings.of(grids[0].categories))
        rows += change.rows(partner)
    adjusted = holm([math.nan if row["p"] is None else float(row["p"]) for row in rows])
    for row, p in zip(rows, adjusted, strict=True):
        row["p_adjusted"] = p_text(p)
    texts = {key[1:]: of_a[key].completion_sha256 == of_b[key].completion_sha256 for key in shared}
    return RunComparison(
        rows=rows,
        flips=[_flip(of_a[key], of_b[key]) for key in shared if of_a[key].label != of_b[key].label],
        cells=len(texts),
        same_text=sum(texts.values()),
        left_out=(len(a) - len(shared), len(b) - len(shared)),
    )


def _key(row: CellRow, model: str) -> Key:
    """The judge, then the cell, under a model's name."""
    fields = {name: str(getattr(row, name)) for name in _CELL} | {"model": model}
    return row.judge, *fields.values()


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
        "task": a.task,
        "sample": a.sample,
        "guard": a.guard,
    }


@dataclass(frozen=True)
class _Change:
    """The same cells in two runs, of one task, guard and judge."""

    a: Grid
    b: Grid
    study: Study
    resampling: Resampling

    def rows(self, partner: Mapping[str, str]) -> Iterator[dict[str, Field]]:
        """Return the changes of every model: outcomes by intervention, then the headline's gap.

        Of the valid outcomes the first that is not the event is left out: it is what the others
        leave of 100 per cent.
        """
        scale = self.a.scale
        others = [o.name for o in scale.outcomes if o.valid and not o.event]
        for at, model in enumerate(self.a.models):
            who: dict[str, Field] = {"judge": self.a.judge, "model_a": model.name}
            who |= {"model_b": partner[model.name], "task": self.a.task, "guard": self.a.guard}
            for name in self.a.interventions:
                if not self.a.present(at, name):
                    continue
                for outcome in (scale.event, *others[1:]):
                    sides = self.outcome(at, name, outcome)
                    yield who | {"condition": name, "rate": outcome} | self.change(*sides)
                sides = self.invalid(at, name)
                yield who | {"condition": name, "rate": INVALID} | self.change(*sides)
            for gap in self.study.design.headline[:1]:
                if {gap.a, gap.b} <= set(self.a.interventions):
                    yield who | {"condition": gap.words, "rate": gap.name} | self.gap(at, gap)

    def outcome(self, model: int, intervention: str, outcome: str) -> tuple[Counted, Counted]:
        """Count an outcome in both runs over the outputs that are valid in both."""
        labels = self.a.of(model, intervention), self.b.of(model, intervention)
        usable = self.a.valid(labels[0]) & self.a.valid(labels[1])
        code = self.a.code(outcome)
        before, after = (_counted(each == code, usable) for each in labels)
        return before, after

    def invalid(self, model: int, intervention: str) -> tuple[Counted, Counted]:
        """Count the outputs that are not valid over all that are in both runs."""
        labels = self.a.of(model, intervention), self.b.of(model, intervention)
        usable = (labels[0] != ABSENT) & (labels[1] != ABSENT)
        before, after = (_counted(~self.a.valid(each), usable) for each in labels)
        return before, after

    def change(self, before: Counted, after: Counted) -> dict[str, Field]:
        """Return a rate's change: exact test and Newcombe's interval for one sample a scenario.

        Of several samples: the permutation test and the bootstrap interval over scenarios, and
        Newcombe's over scenarios where every resample agrees.
        """
        plan = self.study.analysis
        pairs = pair(after, before)
        contrast = LinearContrast(np.ones(1), Counted.stack([after]), Counted.stack([before]))
        interval: Callable[[float], Interval | None] = partial(newcombe, pairs)
        p = mcnemar(pairs.only_a, pairs.only_b) if pairs.n else math.nan
        if self.a.samples > 1 and pairs.n:
            interval = self._bootstrapped(contrast, interval)
            p = contrast.permutation_p(self.resampling.swaps)
        low, high = interval(plan.confidence) or (math.nan, math.nan)
        return {
            "n": after.totals[1],
            "only_a": pairs.only_b,
            "only_b": pairs.only_a,
            "value_a": points_text(before.rate),
            "value_b": points_text(after.rate),
            "change": points_text(contrast.estimate()),
            "low": points_text(low),
            "high": points_text(high),
            "p": p_text(p),
            "p_adjusted": None,
            **_equivalence(equivalence_p(interval, plan.margin / 100), plan),
        }

    def _bootstrapped(
        self, contrast: LinearContrast, otherwise: Callable[[float], Interval | None]
    ) -> Callable[[float], Interval | None]:
        draws = contrast.draws(self.resampling.weights)
        if math.isnan(percentile_interval(draws, 0.5)[0]):
            return otherwise
        return partial(percentile_interval, draws)

    def gap(self, model: int, gap: Contrast) -> dict[str, Field]:
        """Return a gap's change over outputs valid in both runs, tested by paired permutation."""
        plan, event = self.study.analysis, self.a.scale.event
        up, down = (self.outcome(model, name, event) for name in (gap.a, gap.b))
        changes = pair(up[1], up[0]), pair(down[1], down[0])
        contrast = LinearContrast(
            np.array([1.0, -1.0]),
            Counted.stack([up[1], down[1]]),
            Counted.stack([up[0], down[0]]),
        )
        interval: Callable[[float], Interval | None] = partial(gap_change_interval, *changes)
        if self.a.samples > 1:
            interval = self._bootstrapped(contrast, interval)
        low, high = interval(plan.confidence) or (math.nan, math.nan)
        return {
            "n": min(up[1].totals[1], down[1].totals[1]),
            "only_a": None,
            "only_b": None,
            "value_a": points_text(up[0].rate - down[0].rate),
            "value_b": points_text(up[1].rate - down[1].rate),
            "change": points_text(contrast.estimate()),
            "low": points_text(low),
            "high": points_text(high),
            "p": p_text(contrast.permutation_p(self.resampling.swaps)),
            "p_adjusted": None,
            **_equivalence(equivalence_p(interval, plan.margin / 100), plan),
        }


def _counted(cells: NDArray[np.bool_], usable: NDArray[np.bool_]) -> Counted:
    return Counted((cells & usable).sum(axis=1), usable.sum(axis=1))


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


def gap_change_interval(up: Pairs, down: Pairs, confidence: float) -> Interval | None:
    """Return the interval of the change under one intervention minus that under another.

    Newcombe's intervals of the two are added in squares, taking the changes as independent.
    Source: Donner and Zou (2012), Statistical Methods in Medical Research 21, 347-359 (MOVER).

    Args:
        up: outcomes under the intervention that the gap starts from, after and before.
        down: outcomes under the one that it ends at, likewise.
        confidence: of the interval.

    Returns:
        Lower and upper bound; None without pairs under one of them.
    """
    of_up, of_down = newcombe(up, confidence), newcombe(down, confidence)
    if of_up is None or of_down is None:
        return None
    change = up.difference - down.difference
    low = change - math.hypot(up.difference - of_up[0], of_down[1] - down.difference)
    high = change + math.hypot(of_up[1] - up.difference, down.difference - of_down[0])
    return low, high
