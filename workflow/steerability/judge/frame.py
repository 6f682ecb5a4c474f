"""Framing outside text for a judge that reads: between marks that the text cannot forge.

A mark carries a code that is the digest of the very text it encloses, so a text that holds its
own closing mark would have to contain its own SHA-256. Long texts are cut in the middle, and the
cut is stated where it is.
"""

from steerability.canonical import sha256_text

_CODE = 16


def shorten(text: str, limit: int) -> tuple[str, int]:
    """Cut a text to at most ``limit`` characters and return it with the number left out.

    Two thirds of what stays are from its beginning, one third from its end; a line between them
    says how many characters are missing and does not count against the limit.
    """
    if len(text) <= limit:
        return text, 0
    head = limit * 2 // 3
    missing = len(text) - limit
    tail = text[len(text) - (limit - head) :] if limit > head else ""
    return f"{text[:head]}\n[… {missing} characters left out …]\n{tail}", missing


def frame(name: str, text: str, limit: int) -> str:
    """Return a text between its marks.

    Args:
        name: what it is, in capitals.
        text: any text; it stays as it is, up to ``limit`` characters.
        limit: see ``shorten``.
    """
    code = sha256_text(f"{name}\n{text}")[:_CODE]
    while code in text:
        code = sha256_text(code)[:_CODE]
    shown, _ = shorten(text, limit)
    return f"BEGIN {name} {code}\n{shown}\nEND {name} {code}"
