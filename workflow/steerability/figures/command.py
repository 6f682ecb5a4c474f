"""The verb ``figures``."""

from pathlib import Path
from typing import Annotated

import typer

from steerability.analyse.grid import grid_of
from steerability.analyse.names import NOTE_HELP, parse_notes, short_names
from steerability.analyse.plan import PLAN_HELP, read_plan
from steerability.analyse.table1 import categories, outcomes, table1
from steerability.figures import categories as categories_figure
from steerability.figures import convergence, judges
from steerability.figures import outcomes as outcomes_figure
from steerability.figures.style import save, style
from steerability.score.cells import judges_of, read_cells


def figures(
    cells: Annotated[Path, typer.Option(help="The tidy table (cells.csv).")],
    judge: Annotated[str, typer.Option(help="The primary judge, whose labels are drawn.")],
    output_dir: Annotated[Path, typer.Option(help="The folder to draw into.")],
    analysis: Annotated[str, typer.Option(help=PLAN_HELP)] = "{}",
    note: Annotated[list[str] | None, typer.Option(help=NOTE_HELP)] = None,
) -> None:
    """Draw the figures, each as SVG and PNG."""
    notes = parse_notes(note or [])
    rows = read_cells(cells)
    grids = {name: grid_of(rows, name) for name in judges_of(rows)}
    grid = grids[judge] if judge in grids else grid_of(rows, judge)
    plan = read_plan(analysis)
    tables = {name: table1(each, plan) for name, each in grids.items()}
    models = dict.fromkeys(model for each in grids.values() for model in each.models)
    names = dict(zip((m.name for m in models), short_names(list(models)), strict=True))
    marked = f"; judge {judge}: {notes[judge]}" if judge in notes else f"; judge {judge}"
    primary = tables[judge]
    with style():
        drawn = {
            "convergence": (
                convergence.draw(primary, [names[str(row["model"])] for row in primary]),
                "Convergence under each intervention and the gap",
            ),
            "outcomes": (outcomes_figure.draw(outcomes(grid), names), "Shares of the labels"),
            "categories": (
                categories_figure.draw(categories(grid, plan.confidence), names),
                "Convergence by category and model",
            ),
        }
        for figure, _ in drawn.values():
            if judge in notes:
                figure.supxlabel(f"judge {judge}: {notes[judge]}", fontsize=6.5)
        drawn["judges"] = (judges.draw(tables, names, notes), "The gap under every judge")
        written = [
            path
            for name, (figure, title) in drawn.items()
            for path in save(figure, output_dir, name, title + ("" if name == "judges" else marked))
        ]
    print(f"figures: {len(written)} files in {output_dir}")
