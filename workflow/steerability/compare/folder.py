"""Where a run lies, and what it measured."""

from pathlib import Path

from steerability.config.read_study import read_study
from steerability.config.study import Study
from steerability.support.errors import UserError
from steerability.support.files import read_text


def run_folder(run: str) -> Path:
    """Return a run's folder from its path or its name under ``results/``.

    Raises:
        UserError: there is no such folder.
    """
    for folder in (Path(run), Path("results") / run):
        if folder.is_dir():
            return folder
    raise UserError("no such run", where=run, mend="name a folder, or a run under results/")


def study_of_run(folder: Path, spec: str | None) -> Study:
    """Return what a run measured: as given, or out of its ``study.json``.

    Args:
        folder: the run's.
        spec: JSON of a study; None reads the run's own.

    Raises:
        UserError: neither is there, or it does not fit.
    """
    if spec is not None:
        return read_study(spec)
    path = folder / "study.json"
    if not path.is_file():
        raise UserError("is not there", where=path, mend="give the study with --spec")
    return read_study(read_text(path))
