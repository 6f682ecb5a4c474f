"""The verb ``export``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from steerability.config.load import check_config, merge, read_yaml
from steerability.config.model import Config
from steerability.export.run import FinishedRun, read_run
from steerability.report.tables.names import NOTE_HELP, parse_notes
from steerability.support.documents import parse_json
from steerability.support.errors import UserError

# where things are on this machine, and everything that could have been chosen: no settings
_PLACES = ("catalogue", "sources", "results", "store", "weights_dir")


def export(
    folder: Annotated[Path, typer.Argument(help="the run's folder")],
    inspect: Annotated[
        Path | None, typer.Option(help="write one Inspect log per model into this folder")
    ] = None,
    ro_crate: Annotated[
        Path | None, typer.Option(help="write a Workflow Run RO-Crate as this new folder")
    ] = None,
    config: Annotated[
        list[str] | None,
        typer.Option(help="the run's config: YAML files in order, or JSON; kept in the crate"),
    ] = None,
    note: Annotated[list[str] | None, typer.Option(help=NOTE_HELP)] = None,
    repository: Annotated[
        Path, typer.Option(help="where the Snakefile, LICENSE and CITATION.cff are")
    ] = Path(),
) -> None:
    """Write a finished run in forms that other tools read; the run itself stays as it is."""
    if inspect is None and ro_crate is None:
        raise UserError("nothing to export", mend="give --inspect DIR or --ro-crate DIR")
    run = read_run(folder)
    checked = read_config(run, config) if config else None
    notes = notes_of(checked) | parse_notes(note or [])
    if inspect is not None:
        try:
            from steerability.export.inspect_log import write_logs
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("inspect_ai"):
                raise
            raise UserError(
                "inspect-ai is not installed",
                where="--inspect",
                mend="use `make export`, or install envs/export.txt",
            ) from error
        for path in write_logs(run, inspect, notes):
            print(f"export: {path}")
    if ro_crate is not None:
        from steerability.export.crate import write_crate

        files = write_crate(run, parameters(run, checked), notes, repository, ro_crate)
        print(f"export: {files} files of the run, {ro_crate / 'ro-crate-metadata.json'}")


def read_config(run: FinishedRun, config: list[str]) -> Config:
    """Return a run's config.

    Args:
        run: the finished run.
        config: paths of YAML files, or JSON objects, merged in order.

    Raises:
        UserError: the config is wrong, or it is another run's.
    """
    merged: dict[str, Any] = {}
    for item in config:
        merged = merge(merged, _json(item) if item.startswith("{") else read_yaml(Path(item)))
    checked = check_config(merged, where="--config")
    if checked.run != run.manifest.run:
        raise UserError(f"is of the run {checked.run}, not {run.manifest.run}", where="--config")
    return checked


def notes_of(config: Config | None) -> dict[str, str]:
    """Return the notes that a config gives judges of its run."""
    if config is None:
        return {}
    judges = {use.judge: config.catalogue.judges[use.judge] for use in config.judges}
    return {name: judge.note for name, judge in judges.items() if judge.note}


def parameters(run: FinishedRun, config: Config | None) -> dict[str, Any]:
    """Return the settings of a run: its config without folders and catalogue.

    What the run's files tell (models, judges, suite) goes before what the config says, since a
    run may have been narrowed on the command line.
    """
    told = {
        "run": run.manifest.run,
        "suite": run.study.tasks[0].suite,
        "tasks": [task.name for task in run.study.tasks],
        "models": [name for name, _, _ in run.models],
        "judges": run.judges,
        "primary_judge": run.judges[0],
    }
    if config is None:
        return told
    values = config.model_dump(mode="json", exclude=set(_PLACES), exclude_none=True)
    return dict(sorted({**values, **told}.items()))


def _json(text: str) -> dict[str, Any]:
    content = parse_json(text, "--config")
    if not isinstance(content, dict):
        raise UserError("must hold a mapping of keys", where="--config")
    return content
