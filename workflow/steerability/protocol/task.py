"""Tasks: what is measured, on which scenarios, on which scale and by whom."""

from typing import Literal

from steerability.protocol.base import Name, Record
from steerability.protocol.scenario import Split

BEHAVIOUR_TASK = "behaviour"
"""The first edition's only task; its cells' ids leave it out."""
Measure = Literal["generate", "choose"]
Side = Literal["scenarios", "twins"]


class Task(Record):
    """One measurement of a run.

    Attributes:
        name: the column ``task``.
        suite: name of the suite.
        side: the suite's scenarios, or their benign twins.
        split: ``learn`` or ``test``: only these scenarios; None: all.
        measure: ``generate`` an answer that judges label, or ``choose`` between two given ones.
        scale: name of the scale of labels; unused by ``choose``.
        judges: names, the primary one first; none for ``choose``.
        models: those that it is put to; None: every model of the run.
    """

    name: Name
    suite: Name
    side: Side = "scenarios"
    split: Split | None = None
    measure: Measure = "generate"
    scale: Name = "behaviour"
    judges: tuple[Name, ...] = ()
    models: tuple[Name, ...] | None = None

    def asks(self, model: str) -> bool:
        """Say whether the task is put to a model."""
        return self.models is None or model in self.models

    @property
    def primary_judge(self) -> str | None:
        """The judge whose labels make the tables; None for a choice."""
        return self.judges[0] if self.judges else None
