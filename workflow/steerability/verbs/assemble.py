"""The verb ``assemble``."""

from pathlib import Path
from typing import Annotated

import typer

from steerability.config.read_study import SPEC_HELP, read_study
from steerability.generate.assemble import Order, join
from steerability.protocol.response import Choice, Response
from steerability.suites.model import Suite
from steerability.support.jsonl import read_record, write_records
from steerability.support.options import named_values


def assemble(
    planned: Annotated[Path, typer.Option(help="What each request of the model is about.")],
    outputs: Annotated[list[Path], typer.Option(help="A shard's outputs; repeat for each.")],
    spec: Annotated[str, typer.Option(help=SPEC_HELP)],
    suite: Annotated[list[str], typer.Option(help="NAME=FILE: a suite; repeatable.")],
    output: Annotated[
        list[str], typer.Option(help="TASK=FILE: where a task's cells go; repeat for each task.")
    ],
) -> None:
    """Join a model's plan and outputs to responses and choices, in the order of the run."""
    study = read_study(spec)
    files = named_values(suite, "NAME=FILE", where="--suite")
    suites = {name: read_record(Path(file), Suite) for name, file in files.items()}
    scenarios = {
        task.name: [one.id for one in suites[task.suite].scenarios] for task in study.tasks
    }
    order = Order([task.name for task in study.tasks], scenarios, study.interventions)
    found = join(planned, outputs, order)
    rows: list[Response | Choice] = [*found.responses, *found.choices]
    for task, file in named_values(output, "TASK=FILE", where="--output").items():
        mine = [row for row in rows if row.task == task]
        write_records(Path(file), mine)
        print(f"assemble: {task}: {len(mine):,} cells in {file}")
