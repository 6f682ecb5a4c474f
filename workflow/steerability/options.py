"""Options of the form NAME=VALUE, which several verbs take."""

from collections.abc import Iterable

from steerability.errors import UserError


def named_values(words: Iterable[str], form: str, *, where: str) -> dict[str, str]:
    """Return the values by name, both sides stripped.

    Args:
        words: the options, each ``NAME=VALUE``; of two with the same name the last counts.
        form: how they are to be given, for the message.
        where: the option's name.

    Raises:
        UserError: a word has no ``=`` or an empty side.
    """
    values = {}
    for word in words:
        name, _, value = (part.strip() for part in word.partition("="))
        if not (name and value):
            raise UserError(f"{word!r} is not {form}", where=where)
        values[name] = value
    return values
