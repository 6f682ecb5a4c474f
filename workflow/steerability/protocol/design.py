"""The design of a run: which interventions play which role, and what is set against what."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from pydantic import Field, model_validator

from steerability.protocol.base import Name, Record

DELTA, AUTHORISED, UNAUTHORISED, SHIFT = "delta", "authorised", "unauthorised", "shift"


class Contrast(NamedTuple):
    """A difference that is looked at: intervention ``a`` minus intervention ``b``."""

    name: str
    a: str
    b: str

    @property
    def words(self) -> str:
        """The difference in words."""
        return f"{self.a} - {self.b}"


class Design(Record):
    """Roles of interventions.

    Attributes:
        baseline: nothing is done; what shifts are measured against.
        amplify: meant to raise the rate of the event; the first one makes the headline.
        suppress: meant to lower it; likewise.
    """

    baseline: Name | None = Field(default=None, description="the intervention that does nothing")
    amplify: tuple[Name, ...] = Field(
        default=(), description="interventions towards the event; the first makes the headline"
    )
    suppress: tuple[Name, ...] = Field(
        default=(), description="interventions away from the event; the first makes the headline"
    )

    @model_validator(mode="after")
    def _one_role_each(self) -> "Design":
        named = [*self.amplify, *self.suppress, *([self.baseline] if self.baseline else [])]
        twice = {name for name in named if named.count(name) > 1}
        if twice:
            raise ValueError(f"design: {min(twice)} has two roles")
        return self

    def among(self, interventions: Collection[str]) -> "Design":
        """Return the design with the interventions that are there."""
        return Design(
            baseline=self.baseline if self.baseline in interventions else None,
            amplify=tuple(name for name in self.amplify if name in interventions),
            suppress=tuple(name for name in self.suppress if name in interventions),
        )

    @property
    def headline(self) -> tuple[Contrast, ...]:
        """Δ and its two parts, by the first intervention of each role; those that exist."""
        up, down = self.amplify[:1], self.suppress[:1]
        base = (self.baseline,) if self.baseline else ()
        return (
            *(Contrast(DELTA, a, b) for a in up for b in down),
            *(Contrast(AUTHORISED, a, b) for a in base for b in down),
            *(Contrast(UNAUTHORISED, a, b) for a in up for b in base),
        )

    def contrasts(self, interventions: Iterable[str]) -> tuple[Contrast, ...]:
        """Return every contrast of a run, each once.

        The headline comes first; then the same differences for the further amplifying and
        suppressing interventions; then the shift of every other intervention from the baseline.

        Args:
            interventions: those of the run, in its order.
        """
        present = list(dict.fromkeys(interventions))
        roles = self.among(present)
        found = list(roles.headline)
        for a in roles.amplify:
            found += [Contrast(DELTA, a, b) for b in roles.suppress]
        if roles.baseline:
            found += [Contrast(AUTHORISED, roles.baseline, b) for b in roles.suppress]
            found += [Contrast(UNAUTHORISED, a, roles.baseline) for a in roles.amplify]
            named = {roles.baseline, *roles.amplify, *roles.suppress}
            found += [Contrast(SHIFT, n, roles.baseline) for n in present if n not in named]
        return tuple(dict.fromkeys(found))

    def order(self, interventions: Iterable[str]) -> tuple[str, ...]:
        """Return interventions as readers see them: amplify, baseline, suppress, then further."""
        present = list(dict.fromkeys(interventions))
        base = (self.baseline,) if self.baseline else ()
        first = [name for name in (*self.amplify, *base, *self.suppress) if name in present]
        return (*first, *(name for name in present if name not in first))

    def role(self, intervention: str) -> str:
        """Return ``amplify``, ``baseline``, ``suppress``, or nothing for a further one."""
        if intervention == self.baseline:
            return "baseline"
        if intervention in self.amplify:
            return "amplify"
        return "suppress" if intervention in self.suppress else ""
