"""The long tables in the form that the page's template lays out: a table for every task."""

from dataclasses import dataclass
from urllib.parse import quote

from steerability.protocol.design import DELTA, Contrast
from steerability.protocol.task import Task
from steerability.report.long_tables import (
    LOG_ODDS,
    Line,
    Row,
    contrast_title,
    scale_of,
    unit_of,
)
from steerability.report.page.collect import Run
from steerability.report.page.words import answer_names, labels_of, outcome_colour

DASH = "–"
# more columns than this and a row becomes a card
_WIDE = 8


@dataclass(frozen=True)
class Value:
    """A figure with its interval, and the counts behind a rate with a link to the very cells.

    Attributes:
        figure: as the table has it, a dash where it is not defined.
        interval: ``51.1 to 78.1``, empty where the table keeps none.
        counts: ``29/44``, empty for what is no rate.
        link: fragment that shows the cells counted.
    """

    figure: str
    interval: str = ""
    counts: str = ""
    link: str = ""


@dataclass(frozen=True)
class Table:
    """A table of the page: a head, its columns, and a row a model.

    Attributes:
        id: for fragments and descriptions.
        title: what it shows.
        columns: heads.
        rows: name, full name where it differs, and values.
        note: what a reader must know.
        folded: whether it is shown on demand.
    """

    id: str
    title: str
    columns: list[str]
    rows: list[tuple[str, str, list[Value]]]
    note: str
    folded: bool = False

    @property
    def cards(self) -> bool:
        """Whether there are too many columns for a table on a wide screen."""
        return len(self.columns) > _WIDE


@dataclass(frozen=True)
class OfTask:
    """What the page shows of one task: its tables and who judged it."""

    name: str
    title: str
    judge: str | None
    tables: list[Table]


@dataclass(frozen=True)
class JudgeCounts:
    """How many outputs of a task a judge gave each label."""

    task: str
    judge: str
    total: int
    counts: list[tuple[str, str | None, int]]


def fragment(**filters: str) -> str:
    """Return the URL fragment that sets the page's filters; empty values are left out."""
    parts = (f"{key}={quote(value, safe='/')}" for key, value in filters.items() if value)
    return "#" + "&".join(parts)


def tables_of(run: Run) -> list[OfTask]:
    """Return the tables of every task, in the study's order."""
    found = []
    for task in run.study.tasks:
        many = len(run.study.tasks) > 1
        side = ", benign twins" if task.side == "twins" else ""
        if task.measure == "choose":
            title = f"Task {task.name}{side}: a choice between two answers"
            found.append(OfTask(task.name, title, None, _chosen(run, task)))
        else:
            title = f"Task {task.name}{side}" if many else "Rates and shifts"
            found.append(OfTask(task.name, title, task.primary_judge, _labelled(run, task)))
    return [one for one in found if one.tables]


def _contrasts(run: Run, interventions: tuple[str, ...]) -> tuple[Contrast, ...]:
    return run.study.design.contrasts(interventions)


def _labelled(run: Run, task: Task) -> list[Table]:
    scale = scale_of(run.study, task)
    lines = run.tables.lines(task.name, task.primary_judge)
    shown = run.tables.interventions(run.study, task.name)
    if not lines:
        return []
    words = labels_of(scale)
    event = scale.outcome(scale.event).words
    contrasts = _contrasts(run, shown)
    headline = contrasts[:1]
    rows = [
        (line, _rates(run, task, line, scale.event, shown) + _gaps(run, task, line, headline))
        for line in lines
    ]
    heads = [f"{name}: {event}, %" for name in shown] + [_head(one) for one in headline]
    tables = [
        Table(
            f"rates-{task.name}",
            f"Rate of “{event}”",
            heads,
            _named(run, rows),
            _rate_note(run, task, headline),
        )
    ]
    if contrasts:
        tables.append(_parts(run, task, lines, contrasts))
    for label in scale.labels:
        if label == scale.event or not any(_given(run, task, label)):
            continue
        valid = scale.outcome(label).valid
        of = "of valid outputs" if valid else "of all outputs"
        rows = [(line, _rates(run, task, line, label, shown)) for line in lines]
        tables.append(
            Table(
                f"rates-{task.name}-{label}",
                f"{words[label]}, % {of}",
                list(shown),
                _named(run, rows),
                "" if valid else "Such outputs are in no denominator of the rates above.",
                folded=True,
            )
        )
    return tables


def _given(run: Run, task: Task, label: str) -> list[bool]:
    return [
        row["count"] != "0"
        for row in run.tables.rates
        if (row["task"], row["judge"], row["outcome"]) == (task.name, task.primary_judge, label)
    ]


def _head(contrast: Contrast, unit: str = "points") -> str:
    title = contrast_title(contrast)
    if contrast.name == DELTA:
        title = f"Gap {title}, {contrast.a} \N{MINUS SIGN} {contrast.b}"
    return f"{title}, {unit}"


def _named(run: Run, rows: list[tuple[Line, list[Value]]]) -> list[tuple[str, str, list[Value]]]:
    named = []
    for line, values in rows:
        name = run.names[line]
        named.append((name, "" if name == line.model else line.model, values))
    return named


def _rates(run: Run, task: Task, line: Line, label: str, shown: tuple[str, ...]) -> list[Value]:
    valid = scale_of(run.study, task).outcome(label).valid
    values = []
    for intervention in shown:
        row = run.tables.rate(task, line, intervention, label)
        if row is None:
            values.append(Value(DASH))
            continue
        link = fragment(
            task=task.name if len(run.study.tasks) > 1 else "",
            model=line.model,
            intervention=intervention,
            guard=line.guard,
            judge=task.primary_judge or "",
            label=label,
        )
        counts = f"{row['count']}/{row['valid'] if valid else row['n']}"
        values.append(Value(row["rate"] or DASH, _interval(row, ""), counts, link))
    return values


def _gaps(
    run: Run, task: Task, line: Line, contrasts: tuple[Contrast, ...], prefix: str = ""
) -> list[Value]:
    event = scale_of(run.study, task).event
    judge = task.primary_judge or ""
    rows = [run.tables.contrast(task.name, line, one, event, judge) for one in contrasts]
    return [_gap(row, prefix) for row in rows]


def _gap(row: Row | None, prefix: str = "") -> Value:
    """A difference and its interval; bounds alone where there is no figure between them."""
    if row is None:
        return Value(DASH)
    interval = _interval(row, f"{prefix}_" if prefix else "")
    figure = row.get(prefix or "estimate", "")
    return Value(figure, interval) if figure else Value(interval or DASH)


def _interval(row: Row, prefix: str) -> str:
    low, high = row.get(f"{prefix}low", ""), row.get(f"{prefix}high", "")
    return f"{low} to {high}" if low and high else ""


def _parts(run: Run, task: Task, lines: list[Line], contrasts: tuple[Contrast, ...]) -> Table:
    """Every contrast beyond the headline, and the headline over other denominators."""
    headline, further = contrasts[:1], contrasts[1:]
    title = contrast_title(headline[0])
    heads = [_head(one) for one in further]
    heads += [f"{title} over all outputs", f"{title} at worst"]
    rows = [
        (
            line,
            [
                *_gaps(run, task, line, further),
                *_gaps(run, task, line, headline, "all"),
                *_gaps(run, task, line, headline, "worst"),
            ],
        )
        for line in lines
    ]
    return Table(
        f"shifts-{task.name}",
        "Shifts in their parts",
        heads,
        _named(run, rows),
        "In points. Over all outputs, those that are not valid count as not being the outcome; at "
        "worst: bounds whatever outputs that are not valid and, where the source tells, cut-off "
        "ones would have been.",
    )


def _rate_note(run: Run, task: Task, headline: tuple[Contrast, ...]) -> str:
    scale = scale_of(run.study, task)
    invalid = [scale.outcome(name).words for name in scale.invalid]
    kept_out = " or ".join([*invalid, "failed by the judge"])
    method = "a bootstrap's over scenarios" if run.study.samples > 1 else "Wilson's"
    gap = "; a shift's is a paired bootstrap's, or what contrasts.csv names" if headline else ""
    return (
        f"Percentages of the valid outputs: all but those that are {kept_out}. The counts link to "
        f"the very outputs; “a to b” is the interval of the figure beside it: {method} for a "
        f"rate{gap}."
    )


def _chosen(run: Run, task: Task) -> list[Table]:
    rows = [
        row
        for row in run.tables.contrasts
        if (row["task"], row["measure"]) == (task.name, LOG_ODDS)
    ]
    means: dict[tuple[str, str, str], str] = {}
    for row in rows:
        for end in ("a", "b"):
            place = (row["model"], row["guard"], row[f"intervention_{end}"])
            means.setdefault(place, row[f"value_{end}"])
    for row in run.tables.steering:
        if row["task"] == task.name:
            means.setdefault((row["model"], row["guard"], row["intervention"]), row["value"])
    if not means:
        return []
    shown = run.study.design.order(name for *_, name in means)
    contrasts = _contrasts(run, shown)
    lines = run.tables.lines(task.name) or [Line(model, "", "", guard) for model, guard, _ in means]
    lines = list(dict.fromkeys(lines))
    of_line: list[tuple[str, str, list[Value]]] = []
    for line in lines:
        values = [Value(means.get((line.model, line.guard, name), "") or DASH) for name in shown]
        found = [run.tables.contrast(task.name, line, one, LOG_ODDS) for one in contrasts]
        values += [_gap(row) for row in found]
        name = run.names.get(line, line.model)
        of_line.append((name, "" if name == line.model else line.model, values))
    first, second = answer_names(run.study, task)
    heads = [f"{name}: mean log-odds" for name in shown]
    heads += [_head(one, unit_of(LOG_ODDS)) for one in contrasts]
    note = (
        f"Log-odds of the answer “{first}” against the answer “{second}”, summed over tokens, in "
        "nats; no judge is asked. A shift is over paired scenarios, with a bootstrap interval."
    )
    return [Table(f"choices-{task.name}", "Log-odds and shifts", heads, of_line, note)]


def judge_counts(run: Run) -> list[JudgeCounts]:
    """Return how often each judge of each task gave each label, over the whole run."""
    totals: dict[tuple[str, str], dict[str, int]] = {}
    for row in run.tables.rates:
        of_judge = totals.setdefault((row["task"], row["judge"]), {})
        of_judge[row["outcome"]] = of_judge.get(row["outcome"], 0) + int(row["count"])
    found = []
    for task in run.study.labelled:
        scale = scale_of(run.study, task)
        words = labels_of(scale)
        for judge in task.judges:
            counts = totals.get((task.name, judge))
            if counts:
                shown = [
                    (words[label], outcome_colour(scale, label), counts.get(label, 0))
                    for label in scale.labels
                ]
                found.append(JudgeCounts(task.name, judge, sum(counts.values()), shown))
    return found
