"""What a person reads of the tables: rates, the gap's parts, further contrasts, choices."""

from collections.abc import Iterator, Mapping, Sequence

from steerability.config.study import Study
from steerability.estimate.grid import Model
from steerability.protocol.design import AUTHORISED, DELTA, UNAUTHORISED
from steerability.protocol.task import Task
from steerability.report.long_tables import LongTables
from steerability.report.tables.layout import Layout
from steerability.report.tables.names import short_names
from steerability.report.tables.render import DASH, Block, markdown_grid
from steerability.report.tables.table1 import Row, Table1, TextRow, table1

WIDE = 3
"""With more interventions than this a line holds one of them, not all."""


def blocks_of(tables: LongTables, steering: Sequence[TextRow], study: Study) -> list[Block]:
    """Return the tables of a run in the order of its tasks, Table 1 first.

    Args:
        tables: the run's rates and contrasts.
        steering: rows of its ``steering.csv``, for its choices.
        study: its tasks, scales, roles and notes.
    """
    found: list[Block] = []
    tasks = [*study.labelled, *study.chosen]
    for task in tasks:
        of_task: list[Block] = []
        if task.measure == "generate":
            table = table1(tables, study, task)
            if table is not None:
                of_task = list(_of_labels(table, study, remark="" if found else study.remark))
        else:
            of_task = list(_of_choice(task, steering, study))
        if len(tasks) > 1 and of_task:
            first = of_task[0]
            of_task[0] = Block(first.header, first.body, first.caption, f"Task {task.name}")
        found += of_task
    return found


def _of_labels(table: Table1, study: Study, remark: str) -> Iterator[Block]:
    layout, rows = table.layout, table.primary
    wide = len(layout.interventions) <= WIDE
    header, body = _wide(layout, rows, study) if wide else _long(layout, rows)
    yield Block(tuple(header), tuple(map(tuple, body)), caption(table, study, remark))
    if layout.gaps:
        header, body = _gap_cells(layout, rows)
        yield Block(tuple(header), tuple(map(tuple, body)), _gap_caption(layout, study))
    further = list(_further(table))
    if further:
        head = ("model", "contrast", f"difference ({_level(study)} CI)", "p (Holm)")
        yield Block(head, tuple(further), _further_caption(layout))


def _level(study: Study) -> str:
    return f"{100 * study.analysis.confidence:g} %"


def caption(table: Table1, study: Study, remark: str = "") -> str:
    """Return what the table counts and how, with the judge's note and the run's remark, if any."""
    layout, plan = table.layout, study.analysis
    judge = str(table.primary[0]["judge"])
    note = f" Judge {judge}: {study.notes[judge]}." if judge in study.notes else ""
    shown = [layout.scale.outcome(o.outcome) for o in layout.outcomes]
    valid = _listed([outcome.words for outcome in shown if outcome.valid])
    gap = ""
    if DELTA in layout.gaps:
        words = layout.gaps[DELTA]
        event = layout.scale.outcome(layout.scale.event).words
        together = "; a scenario's replies stay together" if study.samples > 1 else ""
        gap = (
            f" Δ is {words.a} minus {words.b} {event} in points, the difference of the two "
            f"rounded rates, with a {_level(study)} bootstrap interval over scenarios paired and "
            f"stratified by category ({plan.resamples:,} resamples{together}; Newcombe's interval "
            f"where all agree)."
        )
    return (
        f"{valid.capitalize()} as percentages of valid outputs (counts in brackets) under each "
        f"intervention, labelled by the judge {judge}.{note}{gap} Further columns, intervals of "
        f"every rate and both denominators: table1.csv, rates.csv.{f' {remark}' if remark else ''}"
    )


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _rate(row: Row, intervention: str, rate: str, count: str) -> str:
    value = row[f"{intervention}_{rate}"]
    if value is None:
        return DASH
    return f"{value} ({row[f'{intervention}_{count}']}/{row[f'{intervention}_valid']})"


def gap_text(row: Row, gap: str) -> str:
    """Return a gap with its interval, a dash where it is not defined."""
    if row[gap] is None:
        return DASH
    low, high = row[f"{gap}_low"], row[f"{gap}_high"]
    return f"{row[gap]} ({low} to {high})" if low is not None else str(row[gap])


def _names(rows: Sequence[Row]) -> list[str]:
    return short_names([Model(str(r["model"]), str(r["size"]), str(r["stage"])) for r in rows])


def _wide(layout: Layout, rows: Sequence[Row], study: Study) -> tuple[list[str], list[list[str]]]:
    """One line a model: every intervention's rate of the event, the gap, then other outcomes."""
    outcomes = [(columns, layout.scale.outcome(columns.outcome)) for columns in layout.outcomes]
    valid = [pair for pair in outcomes if pair[1].valid]
    invalid = [pair for pair in outcomes if not pair[1].valid]
    delta = [DELTA] if DELTA in layout.gaps else []
    joined = " / ".join(layout.interventions)
    header = ["model"]
    for at, (_, outcome) in enumerate(valid):
        header += [f"{name} {outcome.words} %" for name in layout.interventions]
        header += [f"Δ ({_level(study)} CI)"] if delta and not at else []
    header += [f"{outcome.words} {joined}" for _, outcome in invalid]
    header += ["judge failed"] if not invalid and _failed(layout, rows) else []
    body = []
    for name, row in zip(_names(rows), rows, strict=True):
        line = [name]
        for at, (columns, _) in enumerate(valid):
            line += [_rate(row, one, columns.rate, columns.count) for one in layout.interventions]
            line += [gap_text(row, DELTA)] if delta and not at else []
        for columns, _ in invalid:
            counts = (row[f"{one}_{columns.count}"] for one in layout.interventions)
            line.append(" / ".join(map(str, counts)))
        failed = " / ".join(str(row[f"{one}_failed"]) for one in layout.interventions)
        if _failed(layout, [row]) and invalid:
            line[-1] += f" (judge failed: {failed})"
        elif _failed(layout, rows) and not invalid:
            line.append(failed)
        body.append(line)
    return header, body


def _failed(layout: Layout, rows: Sequence[Row]) -> bool:
    return any(row[f"{one}_failed"] != "0" for row in rows for one in layout.interventions)


def _long(layout: Layout, rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """One line a model and intervention."""
    outcomes = [(columns, layout.scale.outcome(columns.outcome)) for columns in layout.outcomes]
    header = ["model", "intervention"]
    header += [f"{outcome.words} %" if outcome.valid else outcome.words for _, outcome in outcomes]
    header.append("judge failed")
    body = []
    for name, row in zip(_names(rows), rows, strict=True):
        for one in layout.interventions:
            cells = [
                _rate(row, one, columns.rate, columns.count)
                if outcome.valid
                else str(row[f"{one}_{columns.count}"])
                for columns, outcome in outcomes
            ]
            body.append([name, one, *cells, str(row[f"{one}_failed"])])
    return header, body


def _gap_cells(layout: Layout, rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """The gap's parts, its other denominator and its worst case."""
    parts = [gap for gap in (AUTHORISED, UNAUTHORISED) if gap in layout.gaps]
    header = ["model", *(f"{gap}: {layout.gaps[gap].words}" for gap in parts)]
    whole = DELTA in layout.gaps
    header += ["Δ over all outputs", "Δ at worst"] if whole else []
    body = []
    for name, row in zip(_names(rows), rows, strict=True):
        line = [name, *(gap_text(row, gap) for gap in parts)]
        if whole:
            low, high = row[f"{DELTA}_worst_low"], row[f"{DELTA}_worst_high"]
            line += [gap_text(row, f"{DELTA}_all"), DASH if low is None else f"{low} to {high}"]
        body.append(line)
    return header, body


def _gap_caption(layout: Layout, study: Study) -> str:
    event = layout.scale.outcome(layout.scale.event).words
    return (
        f"The gap's two parts and its other denominator, in points with {_level(study)} intervals "
        f"as above. Over all outputs, those that are not valid count as not {event}; at worst: "
        "bounds whatever outputs that are not valid and, where the source tells, cut-off outputs "
        "would have been."
    )


def _further(table: Table1) -> Iterator[tuple[str, ...]]:
    """The differences in the event that are not in the headline, of the primary judge."""
    layout, rows = table.layout, table.primary
    names = dict(zip((str(row["model"]) for row in rows), _names(rows), strict=True))
    shown = {(contrast.a, contrast.b) for contrast in layout.gaps.values()}
    for row in table.contrasts:
        ends = row["intervention_a"], row["intervention_b"]
        if row["judge"] != rows[0]["judge"] or row["measure"] != layout.scale.event:
            continue
        if ends not in shown:
            yield names[row["model"]], " - ".join(ends), _span(row, "estimate"), _p(row)


def _further_caption(layout: Layout) -> str:
    event = layout.scale.outcome(layout.scale.event).words
    return (
        f"Further differences of {event}, in points, intervals as above; p-values corrected over "
        "every contrast and model of the task (contrasts.csv)."
    )


def _span(row: TextRow, name: str) -> str:
    if not row[name]:
        return DASH
    return f"{row[name]} ({row['low']} to {row['high']})" if row["low"] else row[name]


def _p(row: TextRow) -> str:
    return row["p_adjusted"] or DASH


def _of_choice(task: Task, steering: Sequence[TextRow], study: Study) -> Iterator[Block]:
    mine = [row for row in steering if row["task"] == task.name]
    if not mine:
        return
    header = ("model", "intervention", "log-odds", "baseline", f"shift ({_level(study)} CI)")
    body = tuple(
        (
            row["model"],
            row["intervention"],
            row["value"] or DASH,
            row["baseline"] or DASH,
            _span(row, "shift"),
            _p(row),
        )
        for row in mine
    )
    yield Block(
        (*header, "p (Holm)"),
        body,
        "Mean log-odds of the first answer against the second, in nats over whole answers, and "
        "the shift from the baseline over paired scenarios, with a bootstrap interval over "
        "scenarios and a sign-flip test (steering.csv).",
    )


def by_judge(table: Table1, study: Study) -> str:
    """Return a task's table under each judge side by side, as Markdown.

    Args:
        table: its rows by judge, in the order to show them.
        study: a judge's note is printed below and its columns are marked with an asterisk.
    """
    layout = table.layout
    models = dict.fromkeys(
        Model(str(row["model"]), str(row["size"]), str(row["stage"]))
        for rows in table.by_judge.values()
        for row in rows
    )
    names = short_names(list(models))
    rate = layout.outcomes[0].rate
    delta = ["Δ"] if DELTA in layout.gaps else []
    header = ["model"]
    for judge in table.by_judge:
        mark = "*" if judge in study.notes else ""
        header += [f"{judge}{mark}: {field}" for field in (*layout.interventions, *delta)]
    body = []
    for name, model in zip(names, models, strict=True):
        line = [name]
        for rows in table.by_judge.values():
            line += _under_judge(rows, model, layout.interventions, rate, gap=bool(delta))
        body.append(line)
    event = layout.scale.outcome(layout.scale.event).words
    gap = ", Δ in points with its interval" if delta else ""
    text = markdown_grid(header, body)
    text += f"\n\n{event.capitalize()} in % of valid outputs{gap}.\n"
    return text + notes_below(list(table.by_judge), study.notes)


def _under_judge(
    rows: Sequence[Row], model: Model, interventions: Sequence[str], rate: str, *, gap: bool
) -> list[str]:
    row = next((row for row in rows if row["model"] == model.name), None)
    if row is None:
        return ["not judged", *[DASH] * (len(interventions) - 1 + gap)]
    line = [str(row[f"{name}_{rate}"] or DASH) for name in interventions]
    return [*line, gap_text(row, DELTA)] if gap else line


def notes_below(judges: Sequence[str], notes: Mapping[str, str]) -> str:
    """Return the notes of judges, one paragraph each, to be put below a Markdown table."""
    return "".join(f"\n\\* {judge}: {notes[judge]}.\n" for judge in judges if judge in notes)
