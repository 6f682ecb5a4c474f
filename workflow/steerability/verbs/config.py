"""The verb ``config``."""

from pathlib import Path
from typing import Annotated

import typer

from steerability.config.load import load_config
from steerability.config.schema import write_generated


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
    run = load_config(files or [Path("config.yaml")])
    print(
        f"config: run {run.run}: {len(run.models)} models x {len(run.interventions)} "
        f"interventions, suite {run.suite}, judges {', '.join(use.judge for use in run.judges)}"
    )
