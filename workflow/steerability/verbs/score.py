"""The verb ``score``."""

from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from steerability.protocol.records import Completion, Label
from steerability.score.cells import join, judges_of, write_cells
from steerability.support.jsonl import read_records


def score(
    completions: Annotated[list[Path], typer.Option(help="Completion files, one per model.")],
    labels: Annotated[list[Path], typer.Option(help="Label files, one per judge and model.")],
    output: Annotated[Path, typer.Option(help="The tidy table to write (cells.csv).")],
) -> None:
    """Join completions and labels into the tidy table that everything after it reads."""
    rows = join(
        chain.from_iterable(read_records(path, Completion) for path in completions),
        chain.from_iterable(read_records(path, Label) for path in labels),
    )
    write_cells(output, rows)
    cells = len({row.cell_id for row in rows})
    print(f"score: {cells:,} cells, {len(rows):,} rows, judges: {', '.join(judges_of(rows))}")
