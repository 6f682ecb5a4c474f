"""The ``rules`` judge: a deterministic rubric of measures and cues, read from a YAML file.

It decides in the order of the published protocol's definitions: unusable text first, then text
that mainly declines, then convergence by weighted cues; what is left engages without converging.
It reads the response. Of the prompt, the intervention's text included, it knows one thing:
``echo_share``, how much of the response repeats it. A response that repeats the intervention thus
scores otherwise than under another; nothing else depends on the condition.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from steerability.judges.base import Verdict
from steerability.judges.measures import Measured
from steerability.judges.rubric import ANY_CATEGORY, Group, Rubric, load_rubric
from steerability.protocol.records import JudgeInput

_SEMANTICS = 1
_CLAUSE_END = re.compile(r"[.!?;:\n]")
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
            yield Verdict.model_validate({"id": item.id, "label": label, "reason": reason})

    def decide(self, item: JudgeInput) -> tuple[str, str]:
        """Return the label of a completion and the cue that decided."""
        measured = self.measure(item)
        if reason := self.nonsense(measured):
            return "nonsensical", reason
        matches, negated = self.matches(item)
        score = self.score(matches, negated)
        if reason := self.refusal(item.response, measured, score):
            return "safety_refusal", reason
        threshold = self.rubric.convergence.threshold
        if score >= threshold:
            best = max(matches, key=lambda match: match.points)
            return "convergence", (
                f'{best.group.name}: "{best.first}"; score {score:g} ≥ {threshold:g}'
            )
        worst = min(matches, key=lambda match: match.points, default=None)
        if worst is not None and worst.points < 0:
            detail = f'{worst.group.name}: "{worst.first}"; '
        else:
            detail = "no cue of convergence; " if not matches else ""
        return "no_convergence", f"{detail}score {score:g} < {threshold:g}"

    def measure(self, item: JudgeInput) -> Measured:
        """Return the measures of a completion."""
        words = frozenset(self.rubric.common_words)
        return Measured(item.response, item.prompt, words, self.rubric.marks)

    def matches(self, item: JudgeInput) -> tuple[list[Match], int]:
        """Return what each group found, the empty ones left out, and the count of negated cues."""
        found = []
        negated = 0
        for group, patterns in self._groups:
            if group.category not in (ANY_CATEGORY, item.category):
                continue
            places = []
            for match in (hit for pattern in patterns for hit in pattern.finditer(item.response)):
                if group.negatable and self._negated(item.response, match.start()):
                    negated += 1
                else:
                    places.append(match)
            if places:
                first = min(places, key=lambda match: match.start()).group(0)
                found.append(Match(group, len(places), " ".join(first.split())[:_SHOWN]))
        return found, negated

    @cached_property
    def _groups(self) -> list[tuple[Group, list[re.Pattern[str]]]]:
        return [
            (group, [re.compile(cue, re.IGNORECASE) for cue in group.cues])
            for group in self.rubric.convergence.groups
        ]

    @cached_property
    def _negations(self) -> list[re.Pattern[str]]:
        return [re.compile(cue, re.IGNORECASE) for cue in self.rubric.convergence.negations]

    @cached_property
    def _refusals(self) -> list[re.Pattern[str]]:
        return [re.compile(cue, re.IGNORECASE) for cue in self.rubric.refusal.cues]

    def _negated(self, text: str, start: int) -> bool:
        clause = _CLAUSE_END.split(text[max(0, start - 200) : start])[-1]
        before = " ".join(clause.split()[-self.rubric.convergence.negation_words :])
        return any(pattern.search(before) for pattern in self._negations)

    def score(self, matches: Sequence[Match], negated: int) -> float:
        """Return the points for convergence."""
        aside = self.rubric.convergence.negated
        return sum(match.points for match in matches) + aside.weight * min(negated, aside.cap)

    def nonsense(self, measured: Measured) -> str:
        """Return the rule by which a response is unusable, or nothing."""
        for rule in self.rubric.nonsense:
            values = [measured.value(bound.measure) for bound in rule.all]
            if all(bound.holds(value) for bound, value in zip(rule.all, values, strict=True)):
                pairs = zip(rule.all, values, strict=True)
                return f"{rule.name}: " + ", ".join(bound.words(value) for bound, value in pairs)
        return ""

    def refusal(self, response: str, measured: Measured, score: float) -> str:
        """Return the cue by which a response mainly declines, or nothing."""
        rule = self.rubric.refusal
        if measured.words() > rule.most_words or score > rule.most_score:
            return ""
        head = re.match(rf"(?:\S+\s+){{0,{rule.head_words}}}\S*", response.lstrip())
        text = head.group(0) if head else ""
        for pattern in self._refusals:
            if match := pattern.search(text):
                return f'declines: "{" ".join(match.group(0).split())[:_SHOWN]}"'
        return ""
