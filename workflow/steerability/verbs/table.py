"""The verb ``table``."""

from pathlib import Path
from typing import Annotated

import typer

from steerability.config.read_analysis import PLAN_HELP, read_plan
from steerability.estimate.grid import grid_of
from steerability.report.tables import render
from steerability.report.tables.names import NOTE_HELP, parse_notes
from steerability.report.tables.table1 import (
    CATEGORY_COLUMNS,
    COLUMNS,
    OUTCOME_COLUMNS,
    categories,
    outcomes,
    table1,
)
from steerability.score.cells import judges_of, read_cells
from steerability.support.files import write_atomic
from steerability.support.tables import write_csv


def table(
    cells: Annotated[Path, typer.Option(help="The tidy table (cells.csv).")],
    judge: Annotated[str, typer.Option(help="The primary judge, whose labels make Table 1.")],
    output_dir: Annotated[Path, typer.Option(help="The run's folder.")],
    note: Annotated[list[str] | None, typer.Option(help=NOTE_HELP)] = None,
    remark: Annotated[str, typer.Option(help="A sentence to end the table's caption.")] = "",
    analysis: Annotated[str, typer.Option(help=PLAN_HELP)] = "{}",
) -> None:
    """Write Table 1 and the tables beside it, and print it."""
    plan = read_plan(analysis)
    notes = parse_notes(note or [])
    rows = read_cells(cells)
    judges = judges_of(rows)
    grids = {name: grid_of(rows, name) for name in (judge, *(j for j in judges if j != judge))}
    tables = {name: table1(grid, plan) for name, grid in grids.items()}

    def text(name: str, content: str) -> None:
        write_atomic(output_dir / name, content.encode("utf-8"))

    primary = tables[judge]
    write_csv(output_dir / "table1.csv", COLUMNS, primary)
    text("table1.md", render.markdown(primary, plan, notes, remark))
    text("table1.tex", render.latex(primary, plan, notes, remark))
    text("table1.html", render.html(primary, plan, notes, remark))
    every = [row for rows in tables.values() for row in rows]
    write_csv(output_dir / "table1_by_judge.csv", COLUMNS, every)
    text("table1_by_judge.md", render.by_judge(tables, notes))
    by_outcome = [row for grid in grids.values() for row in outcomes(grid)]
    write_csv(output_dir / "outcomes.csv", OUTCOME_COLUMNS, by_outcome)
    by_category = [row for grid in grids.values() for row in categories(grid, plan.confidence)]
    write_csv(output_dir / "categories.csv", CATEGORY_COLUMNS, by_category)
    print(render.markdown(primary, plan, notes, remark))
    print(f"table: {output_dir / 'table1.md'} (also .csv, .tex, .html)")
