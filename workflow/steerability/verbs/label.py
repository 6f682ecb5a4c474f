"""The verb ``label``."""

from pathlib import Path
from typing import Annotated

import typer

from steerability.config.load import load_config
from steerability.config.study import Study, study_of
from steerability.judges.files import read_responses
from steerability.labelling.draw import draw
from steerability.labelling.page import header_of, render
from steerability.protocol.base import LARGEST
from steerability.protocol.task import BEHAVIOUR_TASK
from steerability.support.errors import UserError
from steerability.support.files import write_atomic
from steerability.support.jsonl import read_record


def label(
    run: Annotated[Path, typer.Argument(help="The run's folder.")],
    task: Annotated[str, typer.Option(help="Whose answers.")] = BEHAVIOUR_TASK,
    model: Annotated[
        list[str] | None, typer.Option(help="Models to label; default: all of the run.")
    ] = None,
    cells: Annotated[int, typer.Option(min=2, max=LARGEST, help="Answers of each model.")] = 60,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST, help="Seed of the draw.")] = 20260104,
    blind: Annotated[
        bool, typer.Option("--blind", help="Show the prompt without the intervention's text.")
    ] = False,
    config: Annotated[
        list[Path] | None,
        typer.Option(help="The run's config, where it has no study.json yet; repeatable."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="The page; default: label-RUN-TASK.html here.")
    ] = None,
) -> None:
    """Draw answers for a person to label, and write the page to label them on.

    Half of each model's cells are of the first amplifying, half of the first suppressing
    intervention. The draw reads responses alone, so it is fixed before any judge is asked.
    """
    study = _study(run, config or [])
    known = [one.name for one in study.labelled]
    if task not in known:
        raise UserError(
            f"the run has no task {task} whose answers are labelled",
            where="--task",
            mend=f"known: {', '.join(known)}",
        )
    folder = run / "responses" / task
    there = {path.stem: path for path in sorted(folder.glob("*.jsonl"))}
    if not there:
        raise UserError("no responses", where=folder, mend="generate first, or name another task")
    for name in model or ():
        if name not in there:
            raise UserError(
                f"the run has no model {name}", where="--model", mend=f"known: {', '.join(there)}"
            )
    chosen = [path for name, path in there.items() if not model or name in model]
    scale = study.scale(study.task(task).scale)
    drawn = draw(list(read_responses(chosen).values()), study.design, cells=cells, seed=seed)
    header = header_of(drawn, task, scale, cells=cells, blind=blind)
    page = output or Path(f"label-{run.resolve().name}-{task}.html")
    write_atomic(page, render(drawn, header, scale).encode("utf-8"))
    print(
        f"label: {len(drawn.cells):,} answers of {len(drawn.models)} models, draw "
        f"{drawn.digest[:12]}, {page}; open it in a browser"
    )


def _study(run: Path, config: list[Path]) -> Study:
    if config:
        return study_of(load_config(config))
    path = run / "study.json"
    if not path.is_file():
        raise UserError(
            "is missing, so the roles of the interventions are not known",
            where=path,
            mend="name the run's config: --config FILE",
        )
    return read_record(path, Study)
