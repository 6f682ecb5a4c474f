"""Suites as a run keeps them: checked, one JSON file each."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from steerability.suites.model import Suite
from steerability.support.errors import UserError
from steerability.support.jsonl import read_record
from steerability.support.options import named_values


def read_suites(words: Sequence[str], wanted: Iterable[str]) -> dict[str, Suite]:
    """Return the suites that a verb's ``--suite`` names, by their names in the run.

    Args:
        words: each ``NAME=FILE``.
        wanted: names that must be among them.

    Raises:
        UserError: a word has another form, a file is no suite, or a wanted suite is not named.
    """
    files = named_values(words, "NAME=FILE", where="--suite")
    for name in wanted:
        if name not in files:
            raise UserError(
                f"the suite {name} is not given", where="--suite", mend=f"add {name}=FILE"
            )
    return {name: read_record(Path(file), Suite) for name, file in files.items()}
