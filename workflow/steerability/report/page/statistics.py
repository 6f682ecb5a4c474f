"""Verdicts on the hypotheses, and the tables of statistics behind them, as the page shows them."""

from dataclasses import dataclass

from steerability.report.long_tables import main_task
from steerability.report.page.collect import Run

HYPOTHESES = "hypotheses.csv"
SENSITIVITY = "judge_sensitivity.csv"
# file -> (title, what it holds)
FOLDED: dict[str, tuple[str, str]] = {
    "contrasts.csv": (
        "Every difference",
        "Each task's contrasts between interventions under every judge; p adjusted by Holm's "
        "method over the contrasts and models of a task and measure.",
    ),
    "steering.csv": (
        "Every intervention",
        "Its shift from the baseline by family, access and strength, and its rank among its "
        "controls.",
    ),
    "rates.csv": ("Every rate", "Each outcome under every intervention and judge."),
    "matrix.csv": ("Defences against attacks", "Rates with intervals, one row a field."),
    "validity.csv": (
        "Choices against labels",
        "Rank correlation of log-odds with the judge's labels, with its interval.",
    ),
    "tests.csv": (
        "Every test declared",
        "Estimates and intervals in points; p adjusted by Holm's method within the family.",
    ),
    SENSITIVITY: (
        "What hangs on the judge",
        "The verdict on each hypothesis under every judge of the run.",
    ),
    "corrected.csv": (
        "Corrected for the judge's errors",
        "Rates and gap as judged and as corrected to a reference, which is a judge as well unless "
        "human labels were given.",
    ),
    "agreement.csv": (
        "How far judges agree",
        "Each judge against the reference labels, by intervention and over all.",
    ),
    "power.csv": (
        "What a suite of this size can show",
        "The smallest difference seen with the power wanted, and the scenarios that the published "
        "differences would take; by simulation, one test alone.",
    ),
    "categories.csv": (
        "By category",
        "Rates and gap of every model in every category, with Wilson intervals.",
    ),
    "comparison.csv": (
        "Against the published table",
        "Every figure of Table 1 as published and as counted here.",
    ),
}
FILES = (HYPOTHESES, *FOLDED)
_WHOLE = "all"
MOST = 1000
"""Rows of a folded table that a page shows."""


@dataclass(frozen=True)
class Finding:
    """What a run says of a hypothesis, or of a part of one; ``others``: judge to its verdict."""

    name: str
    statement: str
    contrast: str
    verdict: str
    words: str
    others: dict[str, str]


@dataclass(frozen=True)
class Verdict:
    """A hypothesis as a whole, then its parts."""

    whole: Finding
    parts: list[Finding]


@dataclass(frozen=True)
class Table:
    """A table to fold away: its title, a sentence, header and rows; the first ``MOST`` of them."""

    title: str
    text: str
    columns: list[str]
    rows: list[list[str]]
    total: int


def verdicts(run: Run) -> list[Verdict]:
    """Return the verdicts in the order of ``hypotheses.csv``; none where there is no such file."""
    rows = run.further.get(HYPOTHESES, [])
    names = dict.fromkeys(row["hypothesis"] for row in rows)
    grouped = []
    for name in names:
        mine = [row for row in rows if row["hypothesis"] == name]
        parts = [_finding(run, row, row["part"]) for row in mine if row["part"] != _WHOLE]
        whole = next((row for row in mine if row["part"] == _WHOLE), mine[0])
        grouped.append(Verdict(_finding(run, whole, name), parts))
    return grouped


def _finding(run: Run, row: dict[str, str], name: str) -> Finding:
    main = main_task(run.study)
    primary = main.primary_judge if main else None
    others = {
        other["judge"]: other["verdict"]
        for other in run.further.get(SENSITIVITY, [])
        if (other["hypothesis"], other["part"]) == (row["hypothesis"], row["part"])
        and other["judge"] != primary
    }
    return Finding(name, row["statement"], row["contrast"], row["verdict"], row["words"], others)


def folded(run: Run) -> list[Table]:
    """Return the tables that the run has, in the order of ``FOLDED``."""
    tables = []
    for file, (title, text) in FOLDED.items():
        rows = run.further.get(file)
        if rows:
            columns = [name.replace("_", " ") for name in rows[0]]
            shown = [list(row.values()) for row in rows[:MOST]]
            if len(rows) > MOST:
                text = f"{text} The first {MOST:,} rows; the others are in {file}."
            tables.append(Table(title, text, columns, shown, len(rows)))
    return tables
