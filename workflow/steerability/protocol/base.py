"""What every noun is made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
HEX_PATTERN = r"^[0-9a-f]{64}$"
LARGEST = 2**31 - 1
"""The largest number of tokens, seeds or samples: the engine's and the keys' integers hold it."""
Count = Annotated[int, Field(ge=1, le=LARGEST)]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Digest = Annotated[str, Field(pattern=HEX_PATTERN)]


class Record(BaseModel):
    """Base of every record: frozen, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
