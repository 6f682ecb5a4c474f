"""The verb ``figures``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from matplotlib.figure import Figure

from steerability.config.read_analysis import PLAN_HELP, read_plan
from steerability.estimate.grid import grid_of
from steerability.report.figures import (
    ablations,
    agreement,
    categories,
    convergence,
    delta,
    flips,
    judges,
)
from steerability.report.figures import outcomes as outcome_shares
from steerability.report.figures.captions import captions, of_agreement
from steerability.report.figures.style import empty, interval_name, save, style
from steerability.report.tables.names import NOTE_HELP, parse_notes, short_names
from steerability.report.tables.table1 import Row, outcomes, table1
from steerability.report.tables.table1 import categories as categories_table
from steerability.score.cells import judges_of, read_cells
from steerability.support.options import named_values
from steerability.support.tables import read_csv

TITLES = {
    "convergence": "Convergence under each intervention and the gap",
    "delta": "The gap beside the published one",
    "outcomes": "Shares of the labels",
    "categories": "Convergence by category and model",
    "flips": "Every scenario under every intervention",
    "judges": "The gap under every judge",
    "ablations": "The gap by choice of analysis or protocol",
    "agreement": "Agreement of the judges with the reference",
    "confusion": "Confusion matrices of the judges",
    "calibration": "Calibration of the judges",
}


def figures(
    cells: Annotated[Path, typer.Option(help="The tidy table (cells.csv).")],
    judge: Annotated[str, typer.Option(help="The primary judge, whose labels are drawn.")],
    output_dir: Annotated[Path, typer.Option(help="The folder to draw into.")],
    published: Annotated[Path | None, typer.Option(help="Published Table 1, drawn beside.")] = None,
    agreement_table: Annotated[
        Path | None, typer.Option("--agreement", help="agreement.csv of the run.")
    ] = None,
    calibration: Annotated[Path | None, typer.Option(help="calibration.csv of the run.")] = None,
    ablation: Annotated[
        list[str] | None,
        typer.Option(help="NAME=TABLE1.csv of a run with a changed protocol (repeatable)."),
    ] = None,
    analysis: Annotated[str, typer.Option(help=PLAN_HELP)] = "{}",
    note: Annotated[list[str] | None, typer.Option(help=NOTE_HELP)] = None,
) -> None:
    """Draw the figures, each as SVG and PNG; those of an earlier run are replaced or removed."""
    notes = parse_notes(note or [])
    plan = read_plan(analysis)
    rows = read_cells(cells)
    grids = {name: grid_of(rows, name) for name in judges_of(rows)}
    grid = grids[judge] if judge in grids else grid_of(rows, judge)
    tables = {name: table1(each, plan) for name, each in grids.items()}
    primary = tables[judge]
    models = dict.fromkeys(model for each in grids.values() for model in each.models)
    names = dict(zip((m.name for m in models), short_names(list(models)), strict=True))
    labels = [names[str(row["model"])] for row in primary]
    known = {
        row["model"]: float(row["delta"])
        for row in (read_csv(published, ["model"], ["delta"]) if published else [])
        if row["delta"]
    }
    beside = any(row["model"] in known for row in primary)
    variants = _variants(ablation or [])
    level = interval_name(plan.confidence)
    texts = captions(grid, plan, notes.get(judge, ""), published=beside)
    with style():
        drawn: dict[str, Figure] = {
            "convergence": convergence.draw(primary, labels, level),
            "delta": delta.draw(primary, labels, known, level),
            "outcomes": outcome_shares.draw(outcomes(grid), names),
            "categories": categories.draw(categories_table(grid, plan.confidence), names),
            "flips": flips.draw(grid, names),
            "ablations": ablations.draw(primary, labels, variants, level),
        }
        if judge in notes:
            for figure in drawn.values():
                figure.supxlabel(f"judge {judge}: {notes[judge]}", fontsize=6.5)
        drawn["judges"] = judges.draw(tables, names, notes, level)
        drawn |= _judges_measured(agreement_table, calibration, texts, level)
        for name in TITLES.keys() - drawn.keys():
            for suffix in ("svg", "png"):
                (output_dir / f"{name}.{suffix}").unlink(missing_ok=True)
        for name, figure in drawn.items():
            save(figure, output_dir, name, TITLES[name], texts[name])
    print(f"figures: {len(drawn)} figures, SVG and PNG, in {output_dir}")


def _judges_measured(
    agreement_table: Path | None, calibration: Path | None, texts: dict[str, str], level: str
) -> dict[str, Figure]:
    drawn: dict[str, Figure] = {}
    rows: Sequence[dict[str, str]] = []
    curves: Sequence[dict[str, str]] = []
    if agreement_table is not None:
        rows = read_csv(agreement_table, agreement.COLUMNS, agreement.NUMBERS)
        lone = "no judge of this run stands beside a reference"
        drawn["agreement"] = agreement.draw_kappa(rows, level) if rows else empty(lone)
        drawn["confusion"] = agreement.draw_confusion(rows) if rows else empty(lone)
    if calibration is not None:
        numbers = ["n", "probability", "frequency"]
        curves = read_csv(calibration, ["judge", "evaluation", "label"], numbers)
        none = "no judge beside the reference gives probabilities"
        drawn["calibration"] = agreement.draw_calibration(curves) if curves else empty(none)
    groups = {(row["judge"], row["evaluation"]) for row in curves}
    with_curves = [row for row in rows if (row["judge"], row["evaluation"]) in groups]
    texts |= {
        name: of_agreement(name, with_curves if name == "calibration" else rows) for name in drawn
    }
    return drawn


def _variants(words: Sequence[str]) -> dict[str, dict[str, Row]]:
    """Table 1 of every run with a changed protocol: by model, and by size and stage if unique."""
    variants: dict[str, dict[str, Row]] = {}
    for name, path in named_values(words, "NAME=TABLE1.csv", where="--ablation").items():
        numbers = ["delta", "delta_low", "delta_high"]
        rows = read_csv(Path(path), ["model", "size", "stage"], numbers)
        table: list[Row] = [{k: v or None for k, v in row.items()} for row in rows]
        kinds = [ablations.kind(row) for row in table]
        variants[name] = {
            kind: row for kind, row in zip(kinds, table, strict=True) if kinds.count(kind) == 1
        } | {str(row["model"]): row for row in table}
    return variants
