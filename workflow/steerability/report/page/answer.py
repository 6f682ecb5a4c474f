"""The answer that a page begins with: one figure and at most three sentences in plain words."""

from steerability.protocol.design import Contrast
from steerability.protocol.task import Task
from steerability.report.long_tables import (
    Row,
    contrasts_of,
    difference_tasks,
    main_task,
    measure_of,
    number,
    scale_of,
    unit_of,
)
from steerability.report.page.collect import Figure, Run
from steerability.report.page.words import answer_names

MOST = 3
_FEW = 3


def lead_figure(run: Run) -> Figure | None:
    """Return the figure of the answer: shifts by task, or the rates where there is one task."""
    main = main_task(run.study)
    wanted = ["log_odds"] if main is None else [scale_of(run.study, main).event]
    several = len({row["task"] for row in run.tables.contrasts}) > 1
    wanted = ["shifts", *wanted] if several else [*wanted, "shifts"]
    drawn = {figure.name: figure for figure in run.figures}
    return next((drawn[name] for name in wanted if name in drawn), None)


def answer(run: Run) -> list[str]:
    """Return the sentences: rates and their shift, a choice's shift, and what controls say.

    Every figure in them stands in ``rates.csv`` or ``contrasts.csv``.
    """
    main = main_task(run.study)
    contrast = next(iter(contrasts_of(run.study)), None)
    found: list[str] = []
    if main is not None:
        found += _labels(run, main, contrast) if contrast else _rates(run, main)
    if contrast is not None:
        found += [words for task in run.study.chosen[:1] for words in _choice(run, task, contrast)]
        found += _twins(run, contrast) or _control(run, main, contrast)
    return found[:MOST]


def _rows(
    run: Run, task: str, contrast: Contrast, measure: str | None, judge: str | None
) -> list[Row]:
    return [
        row
        for row in run.tables.contrasts
        if (row["task"], row["intervention_a"], row["intervention_b"])
        == (task, contrast.a, contrast.b)
        and measure in (None, row["measure"])
        and judge in (None, row["judge"])
        and row["estimate"]
    ]


def is_distinguishable(row: Row) -> bool | None:
    """Say whether an interval leaves zero out; None without an interval."""
    low, high = number(row, "low"), number(row, "high")
    return None if low is None or high is None else low > 0 or high < 0


def _verdict(row: Row) -> str:
    found = is_distinguishable(row)
    if found is None:
        return "which has no interval"
    return f"which {'is' if found else 'is not'} distinguishable from zero"


def _short(text: str) -> str:
    """A figure of a table to two decimals, as points have them anyway."""
    return f"{float(text):.2f}".replace("-0.00", "0.00")


def _shift(row: Row) -> str:
    low, high = row["low"], row["high"]
    interval = f" ({_short(low)} to {_short(high)})" if low and high else ""
    return f"{_short(row['estimate'])} {unit_of(row['measure'])}{interval}"


def _several(rows: list[Row], what: str) -> str:
    """A sentence's end over several models: the range of shifts, and how many are sure."""
    values = sorted((float(row["estimate"]), row["estimate"]) for row in rows)
    unit = unit_of(rows[0]["measure"])
    sure = sum(bool(is_distinguishable(row)) for row in rows)
    low, high = _short(values[0][1]), _short(values[-1][1])
    return (
        f"{what} between {low} and {high} {unit} over {len(rows)} {_kinds(rows)}, "
        f"distinguishable from zero in {sure} of {len(rows)}."
    )


def _kinds(rows: list[Row]) -> str:
    return "models" if len({row["model"] for row in rows}) == len(rows) else "models and guards"


def _counted(row: Row | None, of: str) -> str:
    if row is None:
        return f"there is no reply under {of}"
    if not int(row["valid"]):
        return f"under {of} none of {row['n']} replies was valid"
    return f"under {of} {row['count']} of {row['valid']} valid replies"


def _labels(run: Run, task: Task, contrast: Contrast) -> list[str]:
    event = scale_of(run.study, task).outcome(scale_of(run.study, task).event).words
    judge = task.primary_judge
    rows = _rows(run, task.name, contrast, measure_of(run.study, task), judge)
    lines = run.tables.lines(task.name, judge)
    if not rows:
        unknown = f"The shift between {contrast.a} and {contrast.b} cannot be estimated."
        return [*_rates(run, task), unknown]
    if len(lines) > 1:
        what = f"From {contrast.b} to {contrast.a} the rate of “{event}” shifts by"
        return [_several(rows, what)]
    name = run.names[lines[0]]
    a, b = (
        run.tables.rate(task, lines[0], end, scale_of(run.study, task).event)
        for end in (contrast.a, contrast.b)
    )
    return [
        f"For {name}, {_counted(a, contrast.a)} were labelled “{event}”, and "
        f"{_counted(b, contrast.b)}: the shift between the two is {_shift(rows[0])}, "
        f"{_verdict(rows[0])}."
    ]


def _rates(run: Run, task: Task) -> list[str]:
    """What is said where nothing is set against anything: the rates alone."""
    scale = scale_of(run.study, task)
    event = scale.outcome(scale.event).words
    rows = [
        row
        for row in run.tables.rates
        if (row["task"], row["judge"], row["outcome"])
        == (task.name, task.primary_judge, scale.event)
    ]
    why = "No intervention has a role, so that none is set against another."
    if contrasts_of(run.study):
        why = ""
    if len(rows) <= _FEW:
        parts = [_counted(row, row["intervention"]) for row in rows]
        said = f"Labelled “{event}”: {'; '.join(parts)}." if parts else "There is no reply."
    else:
        known = sorted((float(row["rate"]), row) for row in rows if row["rate"]) if rows else []
        if not known:
            return ["No reply was valid.", *([why] if why else [])]
        (_, low), (_, high) = known[0], known[-1]
        said = (
            f"The rate of “{event}” lies between {low['rate']} % of valid replies "
            f"({low['model']}, {low['intervention']}) and {high['rate']} % "
            f"({high['model']}, {high['intervention']})."
        )
    return [said, *([why] if why else [])]


def _choice(run: Run, task: Task, contrast: Contrast) -> list[str]:
    rows = _rows(run, task.name, contrast, measure_of(run.study, task), "")
    if not rows:
        return []
    first, second = answer_names(run.study, task)
    what = (
        f"Between two given answers, the log-odds of the {first} one against the {second} one "
        f"shift from {contrast.b} to {contrast.a} by"
    )
    if len(rows) > 1:
        return [_several(rows, what)]
    return [f"{what} {_shift(rows[0])}, {_verdict(rows[0])}."]


def _twins(run: Run, contrast: Contrast) -> list[str]:
    """How much more scenarios shift than their benign twins; of labels, else of choices."""
    for task in difference_tasks(run.study, run.tables):
        rows = _rows(run, task, contrast, None, None)
        rows = [row for row in rows if row["measure"] == rows[0]["measure"]]
        if not rows:
            continue
        if len(rows) > 1:
            return [_several(rows, "The shift on scenarios minus that on their benign twins lies")]
        twins = f"{_short(rows[0]['value_b'])} {unit_of(rows[0]['measure'])}"
        return [
            f"Their benign twins shift by {twins}: the difference of the two shifts is "
            f"{_shift(rows[0])}, {_verdict(rows[0])}."
        ]
    return []


def _control(run: Run, main: Task | None, contrast: Contrast) -> list[str]:
    """The shift of the first further labelled task, capability say."""
    for task in run.study.labelled:
        if task == main:
            continue
        rows = _rows(run, task.name, contrast, measure_of(run.study, task), task.primary_judge)
        scale = scale_of(run.study, task)
        what = f"In the task {task.name} the rate of “{scale.outcome(scale.event).words}” shifts by"
        if len(rows) == 1:
            return [f"{what} {_shift(rows[0])}, {_verdict(rows[0])}."]
        if rows:
            return [_several(rows, what)]
    return []
