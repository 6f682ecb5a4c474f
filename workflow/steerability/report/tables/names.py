"""How models and judges are named where a person reads them."""

from collections.abc import Sequence

from steerability.estimate.grid import Model
from steerability.support.options import named_values

NOTE_HELP = "JUDGE=TEXT, shown wherever the judge is (repeatable)."


def short_names(models: Sequence[Model]) -> list[str]:
    """Return "size stage" for every model where that tells them apart, else their full names."""
    short = [f"{model.size} {model.stage}".strip() for model in models]
    whole = all(model.size and model.stage for model in models)
    return short if whole and len(set(short)) == len(short) else [m.name for m in models]


def parse_notes(notes: Sequence[str]) -> dict[str, str]:
    """Return the note of each judge from ``JUDGE=TEXT`` options.

    Raises:
        UserError: an option has no ``=`` or an empty side.
    """
    return named_values(notes, "JUDGE=TEXT", where="--note")
