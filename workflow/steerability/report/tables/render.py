"""Table 1 for readers: Markdown, LaTeX and HTML of the same rows."""

from collections.abc import Mapping, Sequence

from tabulate import tabulate

from steerability.config.analysis import Analysis
from steerability.estimate.grid import CONDITIONS, Model
from steerability.report.tables.names import short_names
from steerability.report.tables.table1 import Row
from steerability.support.text import for_html, for_latex, for_markdown

_HEAD = ("model", "pro conv %", "none conv %", "anti conv %", "Δ (95 % CI)")
_REST = ("pro ref %", "none ref %", "anti ref %", "nonsensical pro / none / anti")
_GAP_HEAD = (
    *("model", "authorised: none - anti", "unauthorised: pro - none"),
    *("Δ over all outputs", "Δ at worst"),
)
DASH = "–"


def caption(rows: Sequence[Row], plan: Analysis, notes: Mapping[str, str], remark: str = "") -> str:
    """Return what the table counts and how, with the judge's note and the run's remark, if any."""
    judge = str(rows[0]["judge"])
    note = f" Judge {judge}: {notes[judge]}." if judge in notes else ""
    return (
        f"Convergence and refusal as percentages of valid outputs (counts in brackets) under the "
        f"pro- and anti-instrumental suffix and with none, labelled by the judge {judge}.{note} "
        f"Δ is pro minus anti convergence in points, the difference of the two rounded rates, "
        f"with a {100 * plan.confidence:g} % bootstrap interval over scenarios paired and "
        f"stratified by category ({plan.resamples:,} resamples; Newcombe's interval where all "
        f"agree). Further columns, intervals of every rate and both denominators: table1.csv."
        f"{f' {remark}' if remark else ''}"
    )


def gap_caption(plan: Analysis) -> str:
    """Return what the table of the gap's two parts and denominators shows."""
    return (
        f"The gap's two parts and its other denominator, in points with "
        f"{100 * plan.confidence:g} % intervals as above. Over all outputs, nonsensical and failed "
        "ones count as not converging; at worst: bounds whatever nonsensical, failed and, where "
        "the source tells, cut-off outputs would have been."
    )


def _rate(row: Row, condition: str, rate: str, count: str) -> str:
    value = row[f"{condition}_{rate}"]
    if value is None:
        return DASH
    return f"{value} ({row[f'{condition}_{count}']}/{row[f'{condition}_valid']})"


def gap_text(row: Row, gap: str = "delta") -> str:
    """Return a gap with its interval, a dash where it is not defined."""
    if row[gap] is None:
        return DASH
    low, high = row[f"{gap}_low"], row[f"{gap}_high"]
    return f"{row[gap]} ({low} to {high})" if low is not None else str(row[gap])


def cells(rows: Sequence[Row], plan: Analysis) -> tuple[list[str], list[list[str]]]:
    """Return header and body of the table a person reads."""
    header = [h.replace("95", f"{100 * plan.confidence:g}") for h in (*_HEAD, *_REST)]
    names = short_names([_model(row) for row in rows])
    body = []
    for name, row in zip(names, rows, strict=True):
        line = [name]
        line += [_rate(row, c, "convergence", "converged") for c in CONDITIONS]
        line.append(gap_text(row))
        line += [_rate(row, c, "refusal", "refused") for c in CONDITIONS]
        failed = [row[f"{c}_failed"] for c in CONDITIONS]
        line.append(" / ".join(str(row[f"{c}_nonsense"]) for c in CONDITIONS))
        if any(failed):
            line[-1] += f" (judge failed: {' / '.join(map(str, failed))})"
        body.append(line)
    return header, body


def gap_cells(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Return header and body of the table of the gap's parts, denominators and worst case."""
    names = short_names([_model(row) for row in rows])
    body = []
    for name, row in zip(names, rows, strict=True):
        low, high = row["delta_worst_low"], row["delta_worst_high"]
        worst = DASH if low is None else f"{low} to {high}"
        gaps = ("authorised", "unauthorised", "delta_all")
        body.append([name, *(gap_text(row, gap) for gap in gaps), worst])
    return list(_GAP_HEAD), body


def _model(row: Row) -> Model:
    return Model(str(row["model"]), str(row["size"]), str(row["stage"]))


def markdown_grid(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Return a padded Markdown table; numbers stay the text they are."""
    escaped = [[for_markdown(cell) for cell in line] for line in body]
    return str(tabulate(escaped, headers=header, tablefmt="github", disable_numparse=True))


def markdown(
    rows: Sequence[Row], plan: Analysis, notes: Mapping[str, str], remark: str = ""
) -> str:
    """Return Table 1 and the table of the gap's parts as Markdown, captions below."""
    return (
        f"{markdown_grid(*cells(rows, plan))}\n\n{caption(rows, plan, notes, remark)}\n\n"
        f"{markdown_grid(*gap_cells(rows))}\n\n{gap_caption(plan)}\n"
    )


def latex(rows: Sequence[Row], plan: Analysis, notes: Mapping[str, str], remark: str = "") -> str:
    """Return both tables as LaTeX table environments (needs the package ``booktabs``)."""
    first = _tabular(*cells(rows, plan), caption(rows, plan, notes, remark))
    return f"{first}\n{_tabular(*gap_cells(rows), gap_caption(plan))}"


def _tabular(header: Sequence[str], body: Sequence[Sequence[str]], below: str) -> str:
    grid = [[_tex(cell) for cell in line] for line in (header, *body)]
    table = tabulate(grid[1:], headers=grid[0], tablefmt="latex_raw", disable_numparse=True)
    lines = table.splitlines()
    rules = iter(("\\toprule", "\\midrule", "\\bottomrule"))
    lines = [next(rules) if line == "\\hline" else line for line in lines]
    lines[0] = f"\\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}"
    parts = ["\\begin{table}", "\\centering", "\\small", *lines]
    parts += [f"\\caption{{{_tex(below)}}}", "\\end{table}"]
    return "\n".join(parts) + "\n"


def _tex(text: str) -> str:
    return for_latex(text).replace("Δ", r"$\Delta$").replace("–", "--")


def html(rows: Sequence[Row], plan: Analysis, notes: Mapping[str, str], remark: str = "") -> str:
    """Return both tables as a self-contained HTML document, every text escaped."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<title>Table 1</title>\n<style>\n"
        "body { font: 15px/1.45 sans-serif; margin: 2rem; }\n"
        "table { border-collapse: collapse; border-block: 2px solid; margin-bottom: 2rem; }\n"
        "caption { caption-side: bottom; text-align: left; padding-top: .6rem; }\n"
        "thead { border-bottom: 1px solid; }\n"
        "th, td { padding: .3rem .7rem; text-align: right; font-variant-numeric: tabular-nums; }\n"
        "th:first-child { text-align: left; }\n</style>\n</head>\n<body>\n"
        f"{_html_table(*cells(rows, plan), caption(rows, plan, notes, remark))}"
        f"{_html_table(*gap_cells(rows), gap_caption(plan))}</body>\n</html>\n"
    )


def _html_table(header: Sequence[str], body: Sequence[Sequence[str]], below: str) -> str:
    head = "".join(f'<th scope="col">{for_html(cell)}</th>' for cell in header)
    lines = []
    for name, *values in body:
        data = "".join(f"<td>{for_html(value)}</td>" for value in values)
        lines.append(f'<tr><th scope="row">{for_html(name)}</th>{data}</tr>')
    return (
        f"<table>\n<caption>{for_html(below)}</caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n" + "\n".join(lines) + "\n</tbody>\n</table>\n"
    )


def by_judge(tables: Mapping[str, Sequence[Row]], notes: Mapping[str, str]) -> str:
    """Return Table 1 under each judge side by side, as Markdown.

    Args:
        tables: Table 1's rows by judge, in the order to show them.
        notes: a judge's note is printed below and its columns are marked with an asterisk.
    """
    models = dict.fromkeys(_model(row) for rows in tables.values() for row in rows)
    names = short_names(list(models))
    header = ["model"]
    for judge in tables:
        mark = "*" if judge in notes else ""
        header += [f"{judge}{mark}: {field}" for field in ("pro", "none", "anti", "Δ")]
    body = []
    for name, model in zip(names, models, strict=True):
        line = [name]
        for rows in tables.values():
            row = next((row for row in rows if row["model"] == model.name), None)
            if row is None:
                line += ["not judged"] + [DASH] * 3
                continue
            line += [str(row[f"{c}_convergence"] or DASH) for c in CONDITIONS]
            line.append(gap_text(row))
        body.append(line)
    text = markdown_grid(header, body)
    text += "\n\nConvergence in % of valid outputs, Δ in points with its interval.\n"
    for judge in tables:
        if judge in notes:
            text += f"\n\\* {judge}: {notes[judge]}.\n"
    return text
