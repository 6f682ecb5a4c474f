"""The verb ``config``."""

from pathlib import Path
from typing import Annotated

import typer

from steerability.config.load import load_config
from steerability.config.schema import write_generated
from steerability.config.study import tasks_of
from steerability.inputs.files import check_inputs, judge_names
from steerability.inputs.texts import home_of


def config(
    files: Annotated[
        list[Path] | None, typer.Argument(help="config files, later laid over earlier")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="write schema and reference page (developers)")
    ] = False,
) -> None:
    """Check config files the way a run does; the last line says what the run would hold."""
    if write:
        for path in write_generated(Path.cwd()):
            print(f"config: wrote {path}")
        return
    given = files or [Path("config.yaml")]
    run = load_config(given)
    check_inputs(run, home_of(given))
    tasks = ", ".join(f"{task.name} ({task.suite}, {task.measure})" for task in tasks_of(run))
    print(
        f"config: run {run.run}: {len(run.models)} models x {len(run.variants())} interventions, "
        f"tasks {tasks}, judges {', '.join(judge_names(run)) or 'none'}"
    )
