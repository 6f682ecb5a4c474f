"""What every part of the config is made of."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from steerability.protocol.records import NAME_PATTERN

LONGEST_NAME = 120
"""Names become parts of file names, which hold 255 bytes."""

Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=LONGEST_NAME)]
Words = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]


class Section(BaseModel):
    """Base of every part of the config: unknown keys are refused, types are not coerced."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        populate_by_name=True,
        allow_inf_nan=False,
    )


def to_tuple(value: Any) -> Any:
    """Return a YAML list, and the lists in it, as tuples; anything else as it is."""
    return tuple(to_tuple(item) for item in value) if isinstance(value, list) else value


Names = Annotated[tuple[Name, ...], BeforeValidator(to_tuple), Field(min_length=1)]
