"""Table 1 and the statistics beside it in the form that the page's template lays out."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from steerability.estimate.grid import CONDITIONS, Model
from steerability.report.page.collect import Run
from steerability.report.tables.names import short_names
from steerability.report.tables.render import DASH

# label of a cell -> (column of the count, column of the rate) in table1.csv
_RATES = {
    "convergence": ("converged", "convergence", "valid"),
    "safety_refusal": ("refused", "refusal", "valid"),
    "nonsensical": ("nonsense", "nonsensical", "n"),
}
# column of table1.csv -> how the page heads it
GAPS = {
    "authorised": "Authorised: no suffix − anti",
    "unauthorised": "Unauthorised: pro − no suffix",
    "delta_all": "Δ over all outputs",
    "delta_worst": "Δ at worst",
}


@dataclass(frozen=True)
class Rate:
    """A rate with the counts behind it and a link to the very cells.

    Attributes:
        percent: as ``table1.csv`` has it, a dash where it is not defined.
        counts: ``29/44``, empty where the table keeps none.
        interval: ``51.1 to 78.1``, empty where the table keeps none.
        link: fragment that shows the cells counted.
    """

    percent: str
    counts: str
    interval: str
    link: str


@dataclass(frozen=True)
class TableRow:
    """A model's line of Table 1: rates by label and condition, the gap, its parts and bounds.

    A gap is a figure and its interval, both as text; ``gaps`` has the keys of ``GAPS``.
    """

    name: str
    model: str
    rates: dict[str, dict[str, Rate]]
    delta: tuple[str, str]
    gaps: dict[str, tuple[str, str]]


def fragment(**filters: str) -> str:
    """Return the URL fragment that sets the page's filters."""
    return "#" + "&".join(f"{key}={quote(value, safe='/')}" for key, value in filters.items())


def table_conditions(run: Run) -> list[str]:
    """Return the conditions that Table 1 has counts of, in the page's order."""
    return [
        c for c in CONDITIONS if any(row.get(f"{c}_n") not in ("", "0", None) for row in run.table)
    ]


def table_rows(run: Run) -> list[TableRow]:
    """Return Table 1, one row per model, in the order of ``table1.csv``."""
    conditions = table_conditions(run)
    names = short_names([Model(row["model"], row["size"], row["stage"]) for row in run.table])
    return [
        TableRow(
            name=name,
            model=row["model"],
            rates={label: {c: _rate(row, c, label) for c in conditions} for label in _RATES},
            delta=_gap(row, "delta"),
            gaps={gap: _gap(row, gap) for gap in GAPS},
        )
        for name, row in zip(names, run.table, strict=True)
    ]


def _gap(row: dict[str, str], name: str) -> tuple[str, str]:
    """A gap and its interval; bounds alone where there is no figure between them."""
    figure, interval = row.get(name, ""), _interval(row, name)
    return (figure, interval) if figure else (interval or DASH, "")


def _rate(row: dict[str, str], condition: str, label: str) -> Rate:
    count, rate, of = (row.get(f"{condition}_{name}", "") for name in _RATES[label])
    return Rate(
        percent=rate or DASH,
        counts=f"{count}/{of}" if count and of else "",
        interval=_interval(row, f"{condition}_{_RATES[label][1]}"),
        link=fragment(model=row["model"], intervention=condition, judge=row["judge"], label=label),
    )


def _interval(row: dict[str, str], name: str) -> str:
    low, high = row.get(f"{name}_low", ""), row.get(f"{name}_high", "")
    return f"{low} to {high}" if low and high else ""


def label_counts(run: Run, labels: Sequence[str]) -> list[tuple[str, str, int, list[int]]]:
    """Return name, note, number of cells labelled, and count by label, of each judge."""
    counted = []
    for judge, by_cell in run.labels.items():
        given: list[str] = [label.label for label in by_cell.values()]
        counts = [given.count(name) for name in labels]
        counted.append((judge, run.notes.get(judge, ""), len(given), counts))
    return counted
