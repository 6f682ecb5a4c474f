"""The verb ``assemble``."""

from pathlib import Path
from typing import Annotated

import typer

from steerability.config.read_study import SPEC_HELP, read_study
from steerability.generate.assemble import Order, join
from steerability.protocol.response import Choice, Response
from steerability.suites.stored import read_suites
from steerability.support.jsonl import write_records


def assemble(
    planned: Annotated[Path, typer.Option(help="What each request of the model is about.")],
    outputs: Annotated[list[Path], typer.Option(help="A shard's outputs; repeat for each.")],
    spec: Annotated[str, typer.Option(help=SPEC_HELP)],
    suite: Annotated[list[str], typer.Option(help="NAME=FILE: a suite; repeatable.")],
    task: Annotated[str, typer.Option(help="The task whose cells are wanted.")],
    output: Annotated[Path, typer.Option(help="Where the task's responses or choices go.")],
) -> None:
    """Join a model's plan and outputs to a task's responses or choices, in the order of the run."""
    study = read_study(spec)
    named = study.task(task).suite
    scenarios = [one.id for one in read_suites(suite, [named])[named].scenarios]
    found = join(planned, outputs, Order([task], {task: scenarios}, study.interventions))
    rows: list[Response | Choice] = [*found.responses, *found.choices]
    write_records(output, rows)
    print(f"assemble: {task}: {len(rows):,} cells in {output}")
