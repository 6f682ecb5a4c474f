"""Table 1 and its companions as views of ``rates.csv`` and ``contrasts.csv``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steerability.config.study import Study
from steerability.estimate.grid import Model
from steerability.estimate.rate_table import RATE_COLUMNS
from steerability.protocol.scale import JUDGE_FAILED
from steerability.protocol.task import Task
from steerability.report.long_tables import LongTables
from steerability.report.tables.layout import GAP_DETAIL, Layout, layout_of
from steerability.support.tables import Field

Row = dict[str, Field]
TextRow = Mapping[str, str]
_FROM_RATE = {"": "", "_low": "low", "_high": "high"}
_FROM_RATE |= {"_exact_low": "exact_low", "_exact_high": "exact_high"}
_NO_OUTPUTS: TextRow = dict.fromkeys(RATE_COLUMNS, "") | {
    "n": "0",
    "valid": "0",
    "count": "0",
    "thinking_cut": "0",
    "cut_off": "0",
}


@dataclass(frozen=True)
class Table1:
    """One task's table under every judge.

    Attributes:
        layout: its columns.
        by_judge: rows by judge, the primary one first, one row a model.
        contrasts: the task's differences, from which the rows' gaps are.
    """

    layout: Layout
    by_judge: Mapping[str, Sequence[Row]]
    contrasts: Sequence[TextRow]

    @property
    def primary(self) -> Sequence[Row]:
        """The rows of the primary judge."""
        return next(iter(self.by_judge.values()))


def table1(tables: LongTables, study: Study, task: Task) -> Table1 | None:
    """Return the table of a task; None where the run has no labels of it.

    Rates are percentages of valid outputs, and of all outputs for outcomes that are not valid.
    The gap ``delta`` is the difference of the two rounded rates, as the paper prints it,
    ``delta_unrounded`` that of the exact ones; ``delta_interval`` names how its interval was made.

    Args:
        tables: the run's.
        study: its tasks, scales and roles.
        task: one with labels.
    """
    mine = tables.of_task(task.name)
    if not mine.rates:
        return None
    layout = layout_of(study, task, [row["intervention"] for row in mine.rates])
    judges = dict.fromkeys(row["judge"] for row in mine.rates)
    rates = {_place(row): row for row in mine.rates}
    gaps = {
        (row["judge"], row["model"], row["intervention_a"], row["intervention_b"]): row
        for row in mine.contrasts
        if row["measure"] == layout.scale.event
    }
    by_judge = {
        judge: [_row(layout, judge, model, rates, gaps) for model in _models(mine.rates, judge)]
        for judge in judges
    }
    return Table1(layout, by_judge, mine.contrasts)


def _place(row: TextRow) -> tuple[str, str, str, str]:
    return row["judge"], row["model"], row["intervention"], row["outcome"]


def _models(rates: Sequence[TextRow], judge: str) -> list[Model]:
    """A judge's models in the order of their first row."""
    names = (Model(r["model"], r["size"], r["stage"]) for r in rates if r["judge"] == judge)
    return list(dict.fromkeys(names))


def _row(
    layout: Layout,
    judge: str,
    model: Model,
    rates: Mapping[tuple[str, str, str, str], TextRow],
    gaps: Mapping[tuple[str, str, str, str], TextRow],
) -> Row:
    row: Row = {"model": model.name, "size": model.size, "stage": model.stage, "judge": judge}
    for name in layout.interventions:
        of_outcome = {
            outcome: rates.get((judge, model.name, name, outcome), _NO_OUTPUTS)
            for outcome in layout.scale.labels
        }
        row |= {f"{name}_{end}": value for end, value in _of(layout, of_outcome).items()}
    for gap, contrast in layout.gaps.items():
        found = gaps.get((judge, model.name, contrast.a, contrast.b), {})
        row[gap] = found.get("estimate")
        row |= {f"{gap}_{end}": found.get(end) for end in GAP_DETAIL}
    return {name: row[name] or None for name in layout.columns}


def _of(layout: Layout, rates: Mapping[str, TextRow]) -> dict[str, str]:
    """One intervention's columns, names without the intervention."""
    event = rates[layout.scale.event]
    over_all = f"{layout.outcomes[0].rate}_all"
    found = {name: event[name] for name in ("n", "valid", "cut_off", "thinking_cut")}
    for columns in layout.outcomes:
        found[columns.count] = rates[columns.outcome]["count"]
        for end, source in _FROM_RATE.items():
            found[f"{columns.rate}{end}"] = rates[columns.outcome][source or "rate"]
    for end, source in _FROM_RATE.items():
        found[f"{over_all}{end}"] = event[f"all_{source}" if source else "rate_all"]
    found |= {"failed": rates[JUDGE_FAILED]["count"]}
    return found | {name: event[name] for name in ("worst_low", "worst_high")}


def outcome_columns(study: Study) -> tuple[str, ...]:
    """Return the columns of ``outcomes.csv``: the outcomes of every task's scale, once each."""
    names = dict.fromkeys(name for task in study.labelled for name in study.scale(task.scale).names)
    labels = (*names, JUDGE_FAILED)
    return (
        *("model", "size", "stage", "judge", "intervention", "n"),
        *labels,
        *(f"{name}_share" for name in labels),
        *("task", "guard"),
    )


def outcome_rows(tables: LongTables, study: Study) -> list[Row]:
    """Return the labels' counts and shares of all outputs, one row per model and intervention."""
    rows: dict[tuple[str, ...], Row] = {}
    columns = outcome_columns(study)
    keys = ("task", "guard", "judge", "model", "intervention")
    for rate in tables.rates:
        place = tuple(rate[key] for key in keys)
        kept = {name: rate[name] for name in (*keys, "size", "stage", "n")}
        row = rows.setdefault(place, dict.fromkeys(columns) | kept)
        row[rate["outcome"]] = rate["count"]
        row[f"{rate['outcome']}_share"] = rate["rate_all"]
    return list(rows.values())
