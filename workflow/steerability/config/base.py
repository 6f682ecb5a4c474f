"""What every part of the config is made of."""

import os
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from steerability.protocol.base import NAME_PATTERN

LONGEST_NAME = 120
"""Names become parts of file names, which hold 255 bytes."""

Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=LONGEST_NAME)]


def _one_line(value: str) -> str:
    if not value.isprintable():
        raise ValueError("holds a control character or a line's end")
    return value


def place(value: str) -> str:
    """Return a path in its shortest spelling, ``~`` written out.

    Raises:
        ValueError: it is empty, or holds what Snakemake or a terminal reads otherwise.
    """
    if not value.strip():
        raise ValueError("names no path; write . for the working folder")
    if "{" in value or "}" in value:
        raise ValueError(f"{value} holds a brace, which Snakemake takes for a wildcard")
    path = os.path.normpath(os.path.expanduser(_one_line(value)))  # noqa: PTH111
    if path.startswith("~"):
        raise ValueError(f"there is no such user: {value}")
    return path


def apart(places: Iterable[tuple[str, str]], run: str) -> None:
    """See that no folder is the run's own, lies in it or holds it, and that none is another.

    Args:
        places: what each is called in the config, and its path.
        run: the run's folder.

    Raises:
        ValueError: two of them meet.
    """
    seen: dict[str, str] = {}
    mine = os.path.abspath(run)  # noqa: PTH100
    for name, path in places:
        theirs = os.path.abspath(path)  # noqa: PTH100
        if os.path.commonpath([mine, theirs]) in (mine, theirs):
            raise ValueError(f"run: the run's folder {run} and {name} ({path}) share a folder")
        if theirs in seen:
            raise ValueError(f"{name}: {path} is {seen[theirs]} too; name another folder")
        seen[theirs] = name


Words = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME), AfterValidator(_one_line)]
Place = Annotated[str, AfterValidator(place)]


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

__all__ = ["Name", "Names", "Section", "Words", "to_tuple"]
