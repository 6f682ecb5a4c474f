"""What labels are tied to: a digest of a run's replies, and names that do not tell what a cell is.

Both follow from the ids and the completions' digests alone, which ``cells.csv`` has as well as the
responses. So a label file can be checked against either, and a label that comes later changes
neither.
"""

from collections.abc import Iterable
from typing import Protocol

from steerability.support.canonical import sha256_text

_LENGTH = 16


class Replied(Protocol):
    """A cell with the digest of its reply: a response, or a row of ``cells.csv``."""

    @property
    def model(self) -> str:
        """The model."""

    @property
    def task(self) -> str:
        """The task."""

    @property
    def cell_id(self) -> str:
        """The cell's name in the run."""

    @property
    def completion_sha256(self) -> str:
        """The digest of what the model said."""


def run_digest(cells: Iterable[Replied]) -> str:
    """Return the SHA-256 of the cells' lines ``DIGEST  ID``, sorted by id.

    Args:
        cells: all of a task and of the models that are labelled; a cell may come more than once.
    """
    digests = {cell.cell_id: cell.completion_sha256 for cell in cells}
    return sha256_text("".join(f"{digests[name]}  {name}\n" for name in sorted(digests)))


def blind_name(run: str, kind: str, name: str) -> str:
    """Return the name of a cell or scenario that tells nothing of it.

    Args:
        run: the run's digest.
        kind: ``cell`` or ``scenario``.
        name: its own name.
    """
    return sha256_text(f"{run}\n{kind}\n{name}")[:_LENGTH]
