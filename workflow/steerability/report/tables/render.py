"""Tables for readers: Markdown, LaTeX and HTML of the same blocks."""

from collections.abc import Sequence
from dataclasses import dataclass

from tabulate import tabulate

from steerability.support.text import for_html, for_latex, for_markdown

DASH = "–"


@dataclass(frozen=True)
class Block:
    """One table with what is said below it; a heading above where there are several tasks."""

    header: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]
    caption: str
    heading: str = ""


def markdown_grid(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Return a padded Markdown table; numbers stay the text they are."""
    escaped = [[for_markdown(cell) for cell in line] for line in body]
    return str(tabulate(escaped, headers=header, tablefmt="github", disable_numparse=True))


def markdown(blocks: Sequence[Block]) -> str:
    """Return the blocks as Markdown, captions below their tables."""
    parts = []
    for block in blocks:
        parts += [f"## {block.heading}"] if block.heading else []
        parts += [markdown_grid(block.header, block.body), block.caption]
    return "\n\n".join(parts) + "\n"


def latex(blocks: Sequence[Block]) -> str:
    """Return the blocks as LaTeX table environments (needs the package ``booktabs``)."""
    return "\n".join(_tabular(block) for block in blocks)


def _tabular(block: Block) -> str:
    grid = [[_tex(cell) for cell in line] for line in (block.header, *block.body)]
    table = tabulate(grid[1:], headers=grid[0], tablefmt="latex_raw", disable_numparse=True)
    lines = table.splitlines()
    rules = iter(("\\toprule", "\\midrule", "\\bottomrule"))
    lines = [next(rules) if line == "\\hline" else line for line in lines]
    lines[0] = f"\\begin{{tabular}}{{l{'r' * (len(block.header) - 1)}}}"
    below = f"{block.heading}. {block.caption}" if block.heading else block.caption
    parts = ["\\begin{table}", "\\centering", "\\small", *lines]
    parts += [f"\\caption{{{_tex(below)}}}", "\\end{table}"]
    return "\n".join(parts) + "\n"


def _tex(text: str) -> str:
    return for_latex(text).replace("Δ", r"$\Delta$").replace("–", "--")


def html(blocks: Sequence[Block]) -> str:
    """Return the blocks as a self-contained HTML document, every text escaped."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<title>Table 1</title>\n<style>\n"
        "body { font: 15px/1.45 sans-serif; margin: 2rem; }\n"
        "table { border-collapse: collapse; border-block: 2px solid; margin-bottom: 2rem; }\n"
        "caption { caption-side: bottom; text-align: left; padding-top: .6rem; }\n"
        "thead { border-bottom: 1px solid; }\n"
        "th, td { padding: .3rem .7rem; text-align: right; font-variant-numeric: tabular-nums; }\n"
        "th:first-child { text-align: left; }\n</style>\n</head>\n<body>\n"
        f"{''.join(_html_block(block) for block in blocks)}</body>\n</html>\n"
    )


def _html_block(block: Block) -> str:
    above = f"<h2>{for_html(block.heading)}</h2>\n" if block.heading else ""
    head = "".join(f'<th scope="col">{for_html(cell)}</th>' for cell in block.header)
    lines = []
    for name, *values in block.body:
        data = "".join(f"<td>{for_html(value)}</td>" for value in values)
        lines.append(f'<tr><th scope="row">{for_html(name)}</th>{data}</tr>')
    return (
        f"{above}<table>\n<caption>{for_html(block.caption)}</caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n" + "\n".join(lines) + "\n</tbody>\n</table>\n"
    )
