"""What a trained judge says of cells that its training did not see."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from steerability.protocol.records import HEX_PATTERN, LabelName, Outcome, Record

HeldOut = Literal["scenario", "model"]
Digest = Annotated[str, Field(pattern=HEX_PATTERN)]


class OutOfFold(Record):
    """A trained judge's label on a cell that its training did not see.

    Attributes:
        id: the cell.
        contents: digests of what a judge may be shown of it (``base.content_of``): with the prompt
            as sent, and with the prompt without the intervention's text.
        evaluation: what was held out with it: its scenario (with all its cells) or its model.
        fold: which fold it was in: a number, or the model.
        label: the label.
        probabilities: by label, after calibration within the fold's training cells.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1)
    contents: tuple[Digest, Digest]
    evaluation: HeldOut
    fold: str
    label: LabelName
    probabilities: dict[Outcome, float]
