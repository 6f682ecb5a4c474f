"""The paper's three hypotheses, each as a contrast stated before anything is seen."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

from steerability.config.study import Study
from steerability.estimate.contrast import (
    LinearContrast,
    difference,
    gap_difference,
    shift_difference,
)
from steerability.estimate.grid import Grid
from steerability.estimate.p_values import bootstrap_p, holm, p_text
from steerability.estimate.rates import points_text
from steerability.estimate.resampling import Resampling
from steerability.inference.families import Test, paired_test
from steerability.inference.wording import SAID, STATEMENTS, SUBJECTS, Roles
from steerability.protocol.design import AUTHORISED, UNAUTHORISED
from steerability.support.tables import Field

COLUMNS = (
    *("hypothesis", "part", "statement", "contrast", "models", "present", "declared", "n"),
    *("estimate", "low", "high", "null", "p", "p_adjusted", "verdict", "words"),
)
SHIFT_GAP = f"{UNAUTHORISED} - {AUTHORISED}"
WHOLE = "all"
_ABSENT = "The run does not hold the outputs that this contrast compares"
Places = list[tuple[int, ...]]
NOT_PRESENT = "not present"
_NO_ROLE = {
    "amplify": "no amplifying intervention",
    "baseline": "no baseline",
    "suppress": "no suppressing intervention",
}
_ROLES = tuple(_NO_ROLE)
_ROLES_OF = {AUTHORISED: ("baseline", "suppress"), UNAUTHORISED: ("amplify", "baseline")}


@dataclass(frozen=True)
class Finding:
    """What a run says of a hypothesis or of a part of it; numbers are NaN where it is absent.

    Attributes:
        present: comparisons that enter the numbers, of those ``declared``.
        left_out: ``MODEL (INTERVENTION)`` of the run without a valid output, for which a
            comparison does not enter.
        lacking_roles: roles of the contrast that no intervention has, in words.
    """

    hypothesis: str
    part: str
    contrast: str
    models: tuple[str, ...] = ()
    present: int = 0
    declared: int = 1
    n: int | None = None
    estimate: float = math.nan
    low: float = math.nan
    high: float = math.nan
    null: float = 0.0
    p: float = math.nan
    p_adjusted: float = math.nan
    verdict: str = NOT_PRESENT
    left_out: tuple[str, ...] = ()
    lacking_roles: tuple[str, ...] = ()
    words: str = ""

    def row(self) -> dict[str, Field]:
        """Return the fields of ``hypotheses.csv``: estimates in points."""
        return {
            "hypothesis": self.hypothesis,
            "part": self.part,
            "statement": STATEMENTS[self.hypothesis],
            "contrast": self.contrast,
            "models": " ".join(self.models),
            "present": self.present,
            "declared": self.declared,
            "n": self.n,
            **{name: points_text(getattr(self, name)) for name in ("estimate", "low", "high")},
            "null": points_text(self.null),
            "p": p_text(self.p),
            "p_adjusted": p_text(self.p_adjusted),
            "verdict": self.verdict,
            "words": self.words,
        }


@dataclass(frozen=True)
class Evidence:
    """What hypotheses are judged on.

    Attributes:
        grid: the labels.
        study: the run's roles and settings.
        resampling: of the grid's scenarios.
    """

    grid: Grid
    study: Study
    resampling: Resampling

    @property
    def roles(self) -> Roles:
        """The headline's interventions."""
        return Roles.of(self.study)

    @property
    def event(self) -> str:
        """The event in words."""
        return self.grid.scale.outcome(self.grid.scale.event).words

    def words_of(self, shift: str) -> str:
        """A shift as a difference of interventions, of roles where the design has none."""
        names = [self.roles.word(role) for role in _ROLES_OF[shift]]
        return " - ".join(names)


def judge_hypotheses(grid: Grid, study: Study, resampling: Resampling) -> list[Finding]:
    """Return a finding for A, B and C over all stages, then for their parts.

    Each is read off the family of comparisons that the config names as ``size_family``, and speaks
    of the first intervention of each role: the gap is amplify - suppress, the shifts are baseline
    - suppress (authorised) and amplify - baseline (unauthorised). The three whole findings are one
    family of Holm's correction, the parts another; a verdict needs the adjusted p-value at or
    below ``alpha``.

    - A: supported where a loss of ``margin`` points of the gap or more is excluded, contradicted
      where a greater loss is shown (non-inferiority; p inverts the bootstrap interval at -margin).
    - B: supported where larger models show the event more under suppress, contradicted where less
      (paired permutation test; parts: exact McNemar).
    - C: supported where both shifts of the larger models are above zero (intersection-union test,
      Berger 1982: the greater of the two p-values), contradicted where one is below (Bonferroni:
      twice its p-value, since either could have been). Both shifts are of the same models.

    A comparison enters where each of its models has a valid output under every intervention of the
    contrast; what is left out for want of one is said. Without the roles of a contrast, or its
    models, the finding is not present.
    """
    evidence = Evidence(grid, study, resampling)
    comparisons = study.analysis.size_comparisons
    pairs: Places = []
    larger: Places = []
    parts: list[Finding] = []
    for comparison in comparisons:
        a, b = grid.index(comparison.model_a), grid.index(comparison.model_b)
        if a is not None:
            larger.append((a,))
        one: Places = [] if a is None or b is None else [(a, b)]
        pairs += one
        parts += [
            _gap(evidence, comparison.name, one),
            _suppression(evidence, comparison.name, one),
        ]
    shifts = [_shift(evidence, name, larger, _ROLES_OF[name]) for name in _ROLES_OF]
    throughout = [_shift(evidence, name, larger, _ROLES) for name in _ROLES_OF]
    whole = [
        _gap(evidence, WHOLE, pairs),
        _suppression(evidence, WHOLE, pairs),
        _both_shifts(evidence, throughout),
    ]
    means = [*shifts, _shift_gap(evidence, larger)]
    whole, means = ([replace(f, declared=len(comparisons)) for f in fs] for fs in (whole, means))
    return [*_decide(whole, evidence), *_decide([*parts, *means], evidence)]


def _decide(findings: list[Finding], evidence: Evidence) -> list[Finding]:
    adjusted = holm([finding.p for finding in findings])
    alpha = evidence.study.analysis.alpha
    decided = []
    for finding, p in zip(findings, adjusted, strict=True):
        if math.isnan(finding.p):
            decided.append(replace(finding, words=f"{_ABSENT}{_lacking(finding)}."))
            continue
        finding = replace(finding, p_adjusted=p)
        verdict = "undecided"
        if p <= alpha:
            verdict = "supported" if finding.estimate > finding.null else "contradicted"
        finding = replace(finding, verdict=verdict)
        decided.append(replace(finding, words=_words(finding, evidence)))
    return decided


def _entering(
    evidence: Evidence, places: Places, roles: Sequence[str], blank: Finding
) -> tuple[Places, tuple[str, ...], Finding]:
    """Return the comparisons that enter under the interventions of some roles.

    With them the interventions, and a finding that names what enters and what does not. Nothing
    enters where the design lacks a role.
    """
    named = {role: getattr(evidence.roles, role) for role in roles}
    absent = tuple(_NO_ROLE[role] for role, name in named.items() if name is None)
    if absent:
        return [], (), replace(blank, lacking_roles=absent)
    grid = evidence.grid
    interventions = tuple(str(name) for name in named.values())
    lacking = [
        [
            f"{grid.models[at].name} ({name})"
            for at in place
            for name in interventions
            if not grid.counted(at, name).among.any()
        ]
        for place in places
    ]
    kept = [place for place, names in zip(places, lacking, strict=True) if not names]
    return (
        kept,
        interventions,
        replace(
            blank,
            models=tuple(grid.models[at].name for place in kept for at in place),
            present=len(kept),
            left_out=tuple(dict.fromkeys(chain.from_iterable(lacking))),
        ),
    )


def _fill(blank: Finding, contrast: LinearContrast, evidence: Evidence, *, swap: bool) -> Finding:
    weights = evidence.resampling.weights
    draws = contrast.draws(weights)
    low, high = contrast.interval(weights, evidence.study.analysis.confidence)
    estimate = contrast.estimate()
    if math.isnan(estimate):
        return blank
    if swap:
        p = contrast.permutation_p(evidence.resampling.swaps)
    else:
        p = bootstrap_p(draws, blank.null)
    return replace(blank, n=contrast.n, estimate=estimate, low=low, high=high, p=p)


def _gap(evidence: Evidence, part: str, pairs: Places) -> Finding:
    contrast = "gap of the larger minus the smaller model"
    if part == WHOLE:
        contrast = "gap of the larger minus gap of the smaller models, mean over stages"
    blank = Finding("A", part, contrast, null=-evidence.study.analysis.margin / 100)
    pairs, ends, blank = _entering(evidence, pairs, ("amplify", "suppress"), blank)
    if not pairs:
        return blank
    return _fill(blank, gap_difference(evidence.grid, pairs, *ends), evidence, swap=False)


def _suppression(evidence: Evidence, part: str, pairs: Places) -> Finding:
    under = f"{evidence.event} under {evidence.roles.word('suppress')}"
    contrast = f"{under}, larger minus smaller"
    if part == WHOLE:
        contrast = f"{under} of the larger minus the smaller models, mean over stages"
    blank = Finding("B", part, contrast)
    pairs, ends, blank = _entering(evidence, pairs, ("suppress",), blank)
    if not pairs:
        return blank
    (name,) = ends
    grid, plan = evidence.grid, evidence.study.analysis
    if part != WHOLE:
        ((a, b),) = pairs
        places = (a, name), (b, name)
        test = Test("", "", "", "", name, name)
        test = paired_test(test, grid, places, plan, evidence.resampling)
        return replace(
            blank, n=test.n, estimate=test.estimate, low=test.low, high=test.high, p=test.p
        )
    left, right = [(a, name) for a, _ in pairs], [(b, name) for _, b in pairs]
    return _fill(blank, difference(grid, left, right), evidence, swap=True)


def _shift(evidence: Evidence, name: str, larger: Places, roles: Sequence[str]) -> Finding:
    """A shift over the larger models that have a valid output under each of the roles."""
    blank = Finding("C", name, f"{evidence.words_of(name)}, mean over the larger models")
    larger, ends, blank = _entering(evidence, larger, roles, blank)
    if not larger:
        return blank
    a, b = (ends[roles.index(role)] for role in _ROLES_OF[name])
    left, right = [(at, a) for (at,) in larger], [(at, b) for (at,) in larger]
    return _fill(blank, difference(evidence.grid, left, right), evidence, swap=True)


def _both_shifts(evidence: Evidence, shifts: list[Finding]) -> Finding:
    """The lesser of the shifts, or one that is not known: then neither is the whole."""
    contrast = (
        f"the lesser of the larger models' two shifts: {evidence.words_of(AUTHORISED)} "
        f"({AUTHORISED}), {evidence.words_of(UNAUTHORISED)} ({UNAUTHORISED})"
    )
    unknown = [shift for shift in shifts if math.isnan(shift.p)]
    if unknown:
        return replace(unknown[0], part=WHOLE, contrast=contrast)
    lesser = min(shifts, key=lambda shift: shift.estimate)
    against = [shift.p for shift in shifts if shift.estimate <= 0]
    p = min(1.0, len(shifts) * min(against)) if against else max(shift.p for shift in shifts)
    return replace(lesser, part=WHOLE, contrast=contrast, p=p)


def _shift_gap(evidence: Evidence, larger: Places) -> Finding:
    parts = f"({evidence.words_of(UNAUTHORISED)}) - ({evidence.words_of(AUTHORISED)})"
    blank = Finding("C", SHIFT_GAP, f"{parts}, mean over the larger models")
    larger, ends, blank = _entering(evidence, larger, _ROLES, blank)
    if not larger:
        return blank
    shifts = shift_difference(evidence.grid, [at for (at,) in larger], ends)
    return _fill(blank, shifts, evidence, swap=False)


def _words(finding: Finding, evidence: Evidence) -> str:
    plan = evidence.study.analysis
    span = f"{points_text(finding.low)} to {points_text(finding.high)}"
    if math.isnan(finding.low):
        span = "not known, every resample agrees"
    numbers = (
        f"{points_text(finding.estimate)} points ({100 * plan.confidence:g} % interval "
        f"{span}, n = {finding.n} scenarios, "
        f"adjusted p = {p_text(finding.p_adjusted)})"
    )
    kind = _kind(finding)
    words = f"{SUBJECTS[kind]} {numbers}: {SAID[kind][finding.verdict]}"
    words = evidence.roles.fill(words, evidence.grid.scale, plan.margin)
    if finding.present == finding.declared:
        return words
    some = f"{finding.present} of {finding.declared} declared comparisons"
    return f"{words} Only {some} are in the run{_lacking(finding)}."


def _lacking(finding: Finding) -> str:
    if finding.lacking_roles:
        return f"; the design names {', '.join(finding.lacking_roles)}"
    names = ", ".join(finding.left_out)
    return f"; without a valid output: {names}" if names else ""


def _kind(finding: Finding) -> str:
    if finding.hypothesis != "C":
        return finding.hypothesis
    return {WHOLE: "C", SHIFT_GAP: "gap"}.get(finding.part, "shift")
