"""The verb ``score``."""

from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from steerability.config.read_study import SPEC_HELP, read_study
from steerability.protocol.label import Label
from steerability.protocol.response import Choice, Response
from steerability.score.cells import Joined, join, judges_of, read_model_facts, write_cells
from steerability.score.choices import rows_of, write_choices
from steerability.suites.stored import read_suites
from steerability.support.files import write_atomic
from steerability.support.jsonl import read_records

Files = list[Path] | None


def score(
    spec: Annotated[str, typer.Option(help=SPEC_HELP)],
    models: Annotated[str, typer.Option(help="Size and stage by model, as JSON.")],
    suite: Annotated[list[str], typer.Option(help="NAME=FILE: a suite; repeatable.")],
    output: Annotated[Path, typer.Option(help="The tidy table of labels (cells.csv).")],
    study_output: Annotated[
        Path | None, typer.Option("--study", help="Where the run's study goes (study.json).")
    ] = None,
    responses: Annotated[Files, typer.Option(help="Responses of a task and model.")] = None,
    labels: Annotated[Files, typer.Option(help="Labels of a task, judge and model.")] = None,
    choices: Annotated[Files, typer.Option(help="Choices of a task and model.")] = None,
    choices_output: Annotated[
        Path | None, typer.Option(help="The tidy table of choices (choices.csv).")
    ] = None,
) -> None:
    """Join responses, labels and the small tables into what everything after it reads."""
    study = read_study(spec)
    suites = read_suites(suite, (task.suite for task in study.tasks))
    tables = Joined(
        models=read_model_facts(models),
        suites={task.name: suites[task.suite].name for task in study.tasks},
        categories={
            (task.name, scenario.id): scenario.category
            for task in study.tasks
            for scenario in suites[task.suite].scenarios
        },
        scales={task.name: study.scale(task.scale) for task in study.labelled},
    )
    rows = join(
        chain.from_iterable(read_records(path, Response) for path in responses or ()),
        chain.from_iterable(read_records(path, Label) for path in labels or ()),
        tables,
    )
    write_cells(output, rows)
    if study_output is not None:
        write_atomic(study_output, study.model_dump_json(indent=1).encode("utf-8") + b"\n")
    cells = len({row.cell_id for row in rows})
    print(f"score: {cells:,} cells, {len(rows):,} rows, judges: {', '.join(judges_of(rows))}")
    if choices_output is not None:
        read = chain.from_iterable(read_records(path, Choice) for path in choices or ())
        chosen = rows_of(read, tables.categories)
        write_choices(choices_output, chosen)
        print(f"score: {len(chosen):,} choices in {choices_output}")
