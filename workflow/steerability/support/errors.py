"""Errors that a person can act on."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from steerability.support.text import for_line


class UserError(Exception):
    """The user's input is wrong; the command line prints it as one line and exits with status 2.

    Args:
        what: what is wrong, as a clause.
        where: the file, field or option it was found in.
        mend: how to put it right.
    """

    def __init__(self, what: str, *, where: object = "", mend: str = "") -> None:
        self.what = for_line(" ".join(str(what).split()))
        self.where = for_line(str(where))
        self.mend = for_line(" ".join(mend.split()))
        super().__init__(str(self))

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}; {self.mend}" if self.mend else text


@contextmanager
def exit_if_wrong() -> Iterator[None]:
    """Let wrong input met in the block end the process: one line on stderr, exit status 2.

    What the system refuses (a full disk, a missing permission) ends it with status 1.
    """
    try:
        yield
    except UserError as error:
        print(f"steerability: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        print(f"steerability: {in_words(error)}", file=sys.stderr)
        sys.exit(1)


def in_words(error: OSError) -> str:
    """Return an error of the system as one line with its file."""
    where = f"{error.filename}: " if error.filename else ""
    return for_line(f"{where}{error.strerror or error}")
