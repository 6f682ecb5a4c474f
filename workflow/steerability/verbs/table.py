"""The verb ``table``."""

from pathlib import Path
from typing import Annotated

import typer

from steerability.config.read_study import SPEC_HELP, read_study
from steerability.estimate.steering import STEERING_COLUMNS
from steerability.report.long_tables import read_long_tables
from steerability.report.tables import render
from steerability.report.tables.blocks import blocks_of, by_judge
from steerability.report.tables.layout import KEYS
from steerability.report.tables.table1 import outcome_columns, outcome_rows, table1
from steerability.support.files import write_atomic
from steerability.support.tables import read_csv, write_csv


def table(
    rates: Annotated[Path, typer.Option(help="rates.csv of the run.")],
    contrasts: Annotated[Path, typer.Option(help="contrasts.csv of the run.")],
    output_dir: Annotated[Path, typer.Option(help="The run's folder.")],
    steering: Annotated[
        Path | None, typer.Option(help="steering.csv of the run, for its choices.")
    ] = None,
    spec: Annotated[str, typer.Option(help=SPEC_HELP)] = "{}",
) -> None:
    """Write Table 1 and the tables beside it, and print it; nothing is computed anew."""
    study = read_study(spec)
    tables = read_long_tables(rates, contrasts)
    shifts = read_csv(steering, STEERING_COLUMNS) if steering else []
    main = table1(tables, study, study.labelled[0]) if study.labelled else None

    def text(name: str, content: str) -> None:
        write_atomic(output_dir / name, content.encode("utf-8"))

    columns = main.layout.columns if main else KEYS
    write_csv(output_dir / "table1.csv", columns, main.primary if main else [])
    every = [row for rows in main.by_judge.values() for row in rows] if main else []
    write_csv(output_dir / "table1_by_judge.csv", columns, every)
    none = "The run has no labels.\n"
    text("table1_by_judge.md", by_judge(main, study) if main else none)
    write_csv(output_dir / "outcomes.csv", outcome_columns(study), outcome_rows(tables, study))
    blocks = blocks_of(tables, shifts, study)
    text("table1.md", render.markdown(blocks))
    text("table1.tex", render.latex(blocks))
    text("table1.html", render.html(blocks))
    print(render.markdown(blocks))
    print(f"table: {output_dir / 'table1.md'} (also .csv, .tex, .html)")
