"""Labels: a judge's word on a cell."""

from pydantic import Field

from steerability.protocol.base import Record


class Label(Record):
    """A judge's word on one cell: a line that ``steerability judge`` prints.

    ``label`` is an outcome of the judge's scale, or ``judge_failed``. ``reason`` names the cue,
    rule or words that decided; ``probabilities`` holds one number per outcome, summing to 1; None
    where the judge has none.
    """

    id: str
    label: str = Field(min_length=1)
    reason: str
    probabilities: dict[str, float] | None = None
    judge: str
    key: str
