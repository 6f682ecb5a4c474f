"""Errors that a person can act on."""


class UserError(Exception):
    """The user's input is wrong; the command line prints it as one line and exits with status 2.

    Args:
        what: what is wrong, as a clause.
        where: the file, field or option it was found in.
        mend: how to put it right.
    """

    def __init__(self, what: str, *, where: object = "", mend: str = "") -> None:
        self.what = " ".join(str(what).split())
        self.where = str(where)
        self.mend = " ".join(mend.split())
        super().__init__(str(self))

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}; {self.mend}" if self.mend else text
