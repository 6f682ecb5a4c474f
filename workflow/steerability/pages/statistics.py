"""The run's further tables as the page shows them: verdicts first, the tests behind them folded."""

from dataclasses import dataclass

from steerability.pages.collect import Run

# file -> (title, folded, columns to show in order; empty for all)
PARTS: dict[str, tuple[str, bool, tuple[str, ...]]] = {
    "hypotheses.csv": ("The paper's hypotheses", False, ()),
    "tests.csv": ("Tests", True, ()),
}


@dataclass(frozen=True)
class Part:
    """A table: its title, whether it is folded away, a sentence, header and rows."""

    title: str
    folded: bool
    text: str
    columns: list[str]
    rows: list[list[str]]


def statistics(run: Run) -> list[Part]:
    """Return the tables that the run has, in the order of ``PARTS``."""
    return [
        _part(run.tables[file], title, folded, columns)
        for file, (title, folded, columns) in PARTS.items()
        if run.tables.get(file)
    ]


def _part(rows: list[dict[str, str]], title: str, folded: bool, wanted: tuple[str, ...]) -> Part:
    columns = [name for name in (wanted or rows[0]) if name in rows[0]]
    return Part(
        title=title,
        folded=folded,
        text="",
        columns=[name.replace("_", " ") for name in columns],
        rows=[[row[name] for name in columns] for row in rows],
    )
