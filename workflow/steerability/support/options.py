"""Forms of options that several verbs take: NAME=VALUE, and a whole number or auto."""

from collections.abc import Iterable

from steerability.support.errors import UserError


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


def number_or_auto(text: str, *, least: int, where: str) -> int | None:
    """Return a whole number, or None for ``auto``.

    Args:
        text: as given.
        least: the smallest number that makes sense.
        where: the option's name.

    Raises:
        UserError: it is neither, or too small.
    """
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < least:
        raise UserError(
            f"is {text!r}", where=where, mend=f"give auto or a whole number from {least} on"
        )
    return int(text)
