"""Texts made safe for where they are shown: one function for each language they meet.

Texts come from files, hubs, endpoints and names. A terminal obeys escape sequences, LaTeX its
commands, HTML its marks, Markdown's tables their bars. JSON and CSV have their own writers
(``support.tables``); figures are drawn with mathematics switched off (``report.figures.style``);
paths with braces, which Snakemake takes for wildcards, are refused (``config.base.Place``).
"""

import re
from html import escape

# controls but for tab and newline, what turns or hides text, lone surrogates
_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
}
_MARKDOWN = re.compile(r"([\\`<|])")


def for_terminal(text: str) -> str:
    r"""Return a text whose control characters are written out (``\x1b``), lines kept."""
    return _OBEYED.sub(lambda found: _written_out(found[0]), text)


def for_line(text: str) -> str:
    """Return a text as one line, its newlines and tabs written out too."""
    text = for_terminal(text)
    return text.replace("\n", r"\n").replace("\t", r"\t")


def for_latex(text: str) -> str:
    """Return a text that LaTeX prints as it is."""
    return "".join(_LATEX.get(mark, mark) for mark in for_line(text))


def for_html(text: str) -> str:
    """Return a text that HTML shows as it is, in elements and in quoted attributes."""
    return escape(for_terminal(text))


def for_markdown(text: str) -> str:
    """Return a text that Markdown shows as it is, in a cell of a table too."""
    return _MARKDOWN.sub(r"\\\1", for_line(text))


def _written_out(mark: str) -> str:
    code = ord(mark)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
