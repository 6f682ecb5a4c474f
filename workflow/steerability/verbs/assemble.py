"""The verb ``assemble``."""

from pathlib import Path
from typing import Annotated

import typer


def assemble(
    requests: Annotated[list[Path], typer.Option(help="A shard of the plan; repeat for each.")],
    outputs: Annotated[list[Path], typer.Option(help="A shard's outputs; repeat for each.")],
    suite: Annotated[Path, typer.Option(help="The suite that the plan was made from.")],
    interventions: Annotated[Path, typer.Option(help="The interventions that it was made from.")],
    output: Annotated[Path, typer.Option(help="Where the model's completions go.")],
) -> None:
    """Join a model's requests and outputs to completions, in the order of suite and config."""
    from steerability.generate.assemble import join
    from steerability.protocol.records import Intervention
    from steerability.suites.model import Suite
    from steerability.support.jsonl import read_record, read_records, write_records

    scenarios = [scenario.id for scenario in read_record(suite, Suite).scenarios]
    names = [entry.name for entry in read_records(interventions, Intervention)]
    rows = join(requests, outputs, scenarios, names)
    write_records(output, rows)
    print(f"assemble: {len(rows):,} completions in {output}")
