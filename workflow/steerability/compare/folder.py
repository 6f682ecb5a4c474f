"""Where a run lies."""

from pathlib import Path

from steerability.support.errors import UserError


def run_folder(run: str) -> Path:
    """Return a run's folder from its path or its name under ``results/``.

    Raises:
        UserError: there is no such folder.
    """
    for folder in (Path(run), Path("results") / run):
        if folder.is_dir():
            return folder
    raise UserError("no such run", where=run, mend="name a folder, or a run under results/")
