"""Cells: the places of the grid that a run fills."""

from typing import Annotated

from pydantic import Field

from steerability.protocol.base import LARGEST, NAME_PATTERN, Name, Record
from steerability.protocol.task import BEHAVIOUR_TASK

NameOrNone = Annotated[str, Field(pattern=f"^$|{NAME_PATTERN}")]


class Cell(Record):
    """One place of the grid; keys only, what they stand for is in tables of its own.

    Attributes:
        guard: the monitor between answer and reader; empty for none.
        sample: which of several replies to the same request, from 0.
    """

    task: Name = BEHAVIOUR_TASK
    model: Name
    intervention: Name
    scenario: Name
    guard: NameOrNone = ""
    sample: int = Field(default=0, ge=0, le=LARGEST)

    @property
    def cell_id(self) -> str:
        """The cell's name, unique within a run; what the first edition had not is left out."""
        parts = [self.model, self.intervention, self.scenario]
        if self.task != BEHAVIOUR_TASK:
            parts.insert(0, self.task)
        name = "/".join(parts)
        name += f"@{self.guard}" if self.guard else ""
        return name + (f"#{self.sample}" if self.sample else "")
