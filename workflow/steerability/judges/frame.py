"""Framing outside text for a judge that reads: between marks that the text cannot forge.

The reply's marks carry a code that begins the digest of the reply itself, and a code that a text
holds is never used for it, so no text contains its own closing mark. Long texts are cut in the
middle, and the cut is stated where it is.
"""

from itertools import count

from steerability.support.canonical import sha256_text

# Short, since a small judge reads every digit as a token; what a text holds is never its code.
_CODE = 6


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


def frame(name: str, text: str, limit: int, seed: str | None = None) -> str:
    """Return a text between its marks.

    Args:
        name: what it is, in capitals.
        text: any text; it stays as it is, up to ``limit`` characters.
        limit: see ``shorten``.
        seed: what the code is the digest of, where texts should share the beginning of their
            frame; None is the text itself. A code that stands in the text is never used.
    """
    seed = text if seed is None else seed
    codes = (sha256_text(f"{number}\n{name}\n{seed}")[:_CODE] for number in count())
    code = next(code for code in codes if code not in text)
    shown, _ = shorten(text, limit)
    return f"BEGIN {name} {code}\n{shown}\nEND {name} {code}"
