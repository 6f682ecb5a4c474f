"""The ``rules`` judge: a deterministic rubric of measures and cues, read from a YAML file.

It decides in the order of the published protocol's definitions: unusable text first, then text
that mainly declines, then convergence by weighted cues; what is left engages without converging.
It reads the response. Of the prompt, the intervention's text included, it knows one thing:
``echo_share``, how much of the response repeats it. A response that repeats the intervention thus
scores otherwise than under another; nothing else depends on the condition.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any

from steerability.judges.base import Verdict
from steerability.judges.cues import Cues
from steerability.judges.measures import Measured
from steerability.judges.rubric import ANY_CATEGORY, Group, Rubric, load_rubric
from steerability.protocol.response import JudgeInput

_SEMANTICS = 1
_CLAUSE_ENDS = ".!?;:\n"
_REACH = 200
_SHOWN = 60


@dataclass(frozen=True)
class Match:
    """What one group of cues found in a response.

    Attributes:
        group: the group.
        count: matches that count, after negation, before the cap.
        first: the text of the first of them.
    """

    group: Group
    count: int
    first: str

    @property
    def points(self) -> float:
        """What the group adds to the score."""
        return self.group.weight * min(self.count, self.group.cap)


@dataclass(frozen=True)
class RulesJudge:
    """The judge of one rubric."""

    rubric: Rubric
    name: str = "rules"

    @classmethod
    def load(cls, path: Path | None = None) -> "RulesJudge":
        """Return the judge of a rubric file; None is the built-in rubric."""
        return cls(load_rubric(path))

    @cached_property
    def definition(self) -> Mapping[str, Any]:
        """The rubric as read, and the version of the code that applies it."""
        return {
            "judge": "rules",
            "semantics": _SEMANTICS,
            "rubric": self.rubric.model_dump(mode="json"),
        }

    def label(self, inputs: Sequence[JudgeInput]) -> Iterator[Verdict]:
        """Yield one verdict per input, in order."""
        for item in inputs:
            label, reason = self.decide(item)
            yield Verdict(id=item.id, label=label, reason=reason)

    def decide(self, item: JudgeInput) -> tuple[str, str]:
        """Return the label of a completion and the cue that decided."""
        outcomes = self.rubric.outcomes
        measured = self.measure(item)
        if reason := self.nonsense(measured):
            return outcomes.nonsense, reason
        matches, negated = self.matches(item)
        score = self.score(matches, negated)
        if reason := self.refusal(item.response, measured, score):
            return outcomes.refusal, reason
        threshold = self.rubric.convergence.threshold
        if score >= threshold:
            best = max(matches, key=lambda match: match.points)
            return outcomes.cues, (
                f'{best.group.name}: "{best.first}"; score {score:g} ≥ {threshold:g}'
            )
        worst = min(matches, key=lambda match: match.points, default=None)
        if worst is not None and worst.points < 0:
            detail = f'{worst.group.name}: "{worst.first}"; '
        else:
            detail = f"no cue of {outcomes.cues}; " if not matches else ""
        return outcomes.otherwise, f"{detail}score {score:g} < {threshold:g}"

    def measure(self, item: JudgeInput) -> Measured:
        """Return the measures of a completion."""
        return Measured(item.response, item.prompt, self._common, self.rubric.marks)

    def matches(self, item: JudgeInput) -> tuple[list[Match], int]:
        """Return what each group found, the empty ones left out, and the count of negated cues."""
        groups, cues = self._cues_of(item.category)
        hits = iter(cues.find(item.response))
        negations: dict[int, bool] = {}
        found = []
        negated = 0
        for group in groups:
            places = []
            for match in chain.from_iterable(islice(hits, len(group.cues))):
                start = match.start()
                if group.negatable:
                    if start not in negations:
                        negations[start] = self._negated(item.response, start)
                    if negations[start]:
                        negated += 1
                        continue
                places.append(match)
            if places:
                first = min(places, key=lambda match: match.start()).group(0)
                found.append(Match(group, len(places), " ".join(first.split())[:_SHOWN]))
        return found, negated

    def _cues_of(self, category: str) -> tuple[list[Group], Cues]:
        """Return the groups for a category in order, and their cues in the same order."""
        groups = self.rubric.convergence.groups
        if all(group.category != category for group in groups):
            category = ANY_CATEGORY
        if category not in self._by_category:
            chosen = [group for group in groups if group.category in (ANY_CATEGORY, category)]
            cues = Cues(_compiled(cue for group in chosen for cue in group.cues))
            self._by_category[category] = chosen, cues
        return self._by_category[category]

    @cached_property
    def _by_category(self) -> dict[str, tuple[list[Group], Cues]]:
        return {}

    @cached_property
    def _negations(self) -> Cues:
        return Cues(_compiled(self.rubric.convergence.negations))

    @cached_property
    def _refusals(self) -> Cues:
        return Cues(_compiled(self.rubric.refusal.cues))

    @cached_property
    def _head(self) -> re.Pattern[str]:
        return re.compile(rf"(?:\S+\s+){{0,{self.rubric.refusal.head_words}}}\S*")

    @cached_property
    def _common(self) -> frozenset[str]:
        return frozenset(self.rubric.common_words)

    def _negated(self, text: str, start: int) -> bool:
        near = text[max(0, start - _REACH) : start]
        clause = near[max(map(near.rfind, _CLAUSE_ENDS)) + 1 :]
        before = " ".join(clause.split()[-self.rubric.convergence.negation_words :])
        return self._negations.occurs(before)

    def score(self, matches: Sequence[Match], negated: int) -> float:
        """Return the points for convergence."""
        aside = self.rubric.convergence.negated
        return sum(match.points for match in matches) + aside.weight * min(negated, aside.cap)

    def nonsense(self, measured: Measured) -> str:
        """Return the rule by which a response is unusable, or nothing."""
        for rule in self.rubric.nonsense:
            # the cheap ones first: most rules fail at one of them
            if all(bound.holds(measured.value(bound.measure)) for bound in rule.by_cost):
                return f"{rule.name}: " + ", ".join(
                    bound.words(measured.value(bound.measure)) for bound in rule.all
                )
        return ""

    def refusal(self, response: str, measured: Measured, score: float) -> str:
        """Return the cue by which a response mainly declines, or nothing."""
        rule = self.rubric.refusal
        if measured.words() > rule.most_words or score > rule.most_score:
            return ""
        head = self._head.match(response.lstrip())
        for matches in self._refusals.find(head.group(0) if head else ""):
            if matches:
                return f'declines: "{" ".join(matches[0].group(0).split())[:_SHOWN]}"'
        return ""


def _compiled(cues: Iterable[str]) -> list[re.Pattern[str]]:
    return [re.compile(cue, re.IGNORECASE) for cue in cues]
