"""The engine's complaints about its input, as those of the command line.

The engine knows nothing of ``UserError``; every verb that loads weights says its words by this.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from steerability.engine.errors import InputError
from steerability.support.errors import UserError


@contextmanager
def blaming(weights: Path, mend: str = "") -> Iterator[None]:
    """Turn what the engine finds wrong with its input into a ``UserError``.

    Args:
        weights: the file it works on, as the user named it; of an adapter the engine says which.
        mend: how to put it right, where the engine's own advice does not fit.

    Raises:
        UserError: the weights, an adapter, a template or a prompt is at fault, or memory is
            too small.
    """
    try:
        yield
    except InputError as error:
        where = error.where or weights
        raise UserError(error.what, where=where, mend=mend or error.mend) from error
