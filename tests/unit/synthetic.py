"""Cells, completions and labels made from counts, for tests of score, analyse and figures."""

import hashlib
from collections.abc import Mapping, Sequence

from steerability.config.analysis import Analysis
from steerability.config.study import Study
from steerability.estimate.estimates import estimate
from steerability.protocol.cell import Cell
from steerability.protocol.design import Design
from steerability.protocol.label import Label
from steerability.protocol.response import Response
from steerability.protocol.task import Task
from steerability.report.long_tables import LongTables
from steerability.report.tables.table1 import Table1, table1
from steerability.score.cells import CellRow
from steerability.score.choices import ChoiceRow

MODEL = ("alpha", "1B", "Base")
CODES = {
    "c": "convergence",
    "n": "no_convergence",
    "r": "safety_refusal",
    "x": "nonsensical",
    "f": "judge_failed",
}


STUDY = Study(
    tasks=(Task(name="behaviour", suite="made", judges=("rules",)),),
    design=Design(baseline="none", amplify=("pro",), suppress=("anti",)),
)
"""The paper's design on a made suite, with the judge ``rules``."""


def study(plan: Analysis | None = None, **more: object) -> Study:
    """The paper's study with another plan or further fields of its own."""
    return STUDY.model_copy(update={"analysis": plan or Analysis(), **more})


def completion(
    model: tuple[str, str, str], intervention: str, at: int, categories: int = 1, **more: object
) -> Response:
    """One response; scenario ``s000`` belongs to category ``c0`` and so on, in turn."""
    text = f"{model[0]} {intervention} {at}"
    cell = Cell(model=model[0], intervention=intervention, scenario=f"s{at:03d}")
    values = {
        **cell.model_dump(),
        "category": f"c{at % categories}",
        "id": cell.cell_id,
        "context": "context",
        "prompt": "prompt",
        "plain_context": "context",
        "plain_prompt": "prompt",
        "sent": [{"role": "user", "content": "prompt"}],
        "response": text,
        "completion_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "key": "0" * 64,
        **more,
    }
    return Response.model_validate(values)


def label(of: Response, name: str, judge: str = "rules") -> Label:
    return Label.model_validate(
        {"id": of.id, "label": name, "reason": "made", "judge": judge, "key": "1" * 64}
    )


def cells(
    labels: Mapping[str, str | Sequence[str]],
    model: tuple[str, str, str] = MODEL,
    judge: str = "rules",
    categories: int = 1,
    codes: Mapping[str, str] = CODES,
    **more: object,
) -> list[CellRow]:
    """Rows of one model and judge.

    Args:
        labels: intervention to one letter of ``codes`` per scenario; several such strings are
            several samples, a blank in one a cell that is not there.
        model: name, size and stage.
        judge: whose labels.
        categories: how many; scenarios belong to them in turn.
        codes: letter to label.
        more: further fields of every row.
    """
    rows = []
    for intervention, samples in labels.items():
        strings = [samples] if isinstance(samples, str) else samples
        for at in range(len(strings[0])):
            for sample, letters in enumerate(strings):
                if letters[at] == " ":
                    continue
                text = f"{model[0]} {intervention} {at}" + (f" {sample}" if sample else "")
                values = {
                    **dict(zip(("model", "size", "stage"), model, strict=True)),
                    "intervention": intervention,
                    "suite": "made",
                    "category": f"c{at % categories}",
                    "scenario": f"s{at:03d}",
                    "sample": sample,
                    "judge": judge,
                    "label": codes[letters[at]],
                    "completion_sha256": hashlib.sha256(text.encode()).hexdigest(),
                    **more,
                }
                rows.append(CellRow.model_validate(values))
    return rows


def choices(
    log_odds: Mapping[str, Sequence[float]],
    task: str = "choice",
    model: str = MODEL[0],
    categories: int = 1,
    tokens: int = 4,
) -> list[ChoiceRow]:
    """Rows of one model: intervention to the log-odds of each scenario."""
    return [
        ChoiceRow(
            task=task,
            model=model,
            intervention=intervention,
            scenario=f"s{at:03d}",
            category=f"c{at % categories}",
            log_odds=round(value, 6),
            log_odds_per_token=round(value / tokens, 6),
            key="3" * 64,
        )
        for intervention, values in log_odds.items()
        for at, value in enumerate(values)
    ]


def long_tables(rows: Sequence[CellRow], of: Study) -> LongTables:
    """``rates.csv`` and ``contrasts.csv`` of cells, as the verbs read them."""
    made = estimate(of, rows, [], [])
    return LongTables(made.rates.to_dict("records"), made.contrasts.to_dict("records"))


def table_of(rows: Sequence[CellRow], of: Study) -> Table1:
    """Table 1 of cells."""
    table = table1(long_tables(rows, of), of, of.labelled[0])
    assert table is not None
    return table


def published(counts: Mapping[str, tuple[int, int, int]], n: int = 71) -> dict[str, str]:
    """Letters with the given counts: intervention to (converged, refused, valid) of n outputs."""
    letters = {}
    for intervention, (converged, refused, valid) in counts.items():
        plain = valid - converged - refused
        letters[intervention] = "c" * converged + "r" * refused + "n" * plain + "x" * (n - valid)
    return letters


def discordant(both: int, only_a: int, only_b: int, neither: int) -> Sequence[str]:
    """Two strings of letters whose paired table has these counts."""
    a = "c" * both + "c" * only_a + "n" * only_b + "n" * neither
    b = "c" * both + "n" * only_a + "c" * only_b + "n" * neither
    return a, b
