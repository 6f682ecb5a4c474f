"""What an export reads of a finished run: its manifest, responses, labels and suites."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from steerability.config.study import Study
from steerability.protocol.label import Label
from steerability.protocol.response import Response
from steerability.publish.manifest import MANIFEST, Manifest, read_manifest
from steerability.suites.model import Suite
from steerability.support.canonical import sha256_file
from steerability.support.errors import UserError
from steerability.support.jsonl import read_record, read_records
from steerability.support.tables import read_csv


@dataclass(frozen=True)
class FinishedRun:
    """A run whose files are those that its manifest names.

    Attributes:
        folder: the run's folder.
        manifest: names and digests of its files, and the facts beside them.
        study: its tasks, scales and roles.
        suites: by name.
        models: name, size and stage of each, in the order of Table 1.
        finished: when the manifest was written, UTC to the second.
    """

    folder: Path
    manifest: Manifest
    study: Study
    suites: dict[str, Suite]
    models: list[tuple[str, str, str]]
    finished: datetime

    @property
    def judges(self) -> list[str]:
        """The judges of all tasks, each once, the first task's primary one first."""
        return list(dict.fromkeys(j for task in self.study.labelled for j in task.judges))

    def responses(self, task: str, model: str) -> list[Response]:
        """Return a model's responses to a task, in the order of its file."""
        return list(read_records(self.folder / "responses" / task / f"{model}.jsonl", Response))

    def labels(self, task: str, model: str) -> dict[str, dict[str, Label]]:
        """Return judge → id of the cell → label, for the judges that labelled a model."""
        judges = self.study.task(task).judges
        files = {j: self.folder / "labels" / task / j / f"{model}.jsonl" for j in judges}
        return {
            judge: {label.id: label for label in read_records(file, Label)}
            for judge, file in files.items()
            if file.relative_to(self.folder).as_posix() in self.manifest.files
        }


def read_run(folder: Path) -> FinishedRun:
    """Read a finished run and check its files against the manifest.

    Raises:
        UserError: the run is not finished, or a file is missing or not as the manifest says.
    """
    manifest = read_manifest(folder / MANIFEST)
    for name, digest in manifest.files.items():
        path = folder / name
        if not path.is_file() or sha256_file(path) != digest:
            raise UserError(
                "not as the manifest says", where=path, mend="run the workflow again, then export"
            )
    study = read_record(folder / "study.json", Study)
    rows = read_csv(folder / "rates.csv", ("model", "size", "stage"))
    written = (folder / MANIFEST).stat().st_mtime
    names = dict.fromkeys(task.suite for task in study.tasks)
    return FinishedRun(
        folder=folder,
        manifest=manifest,
        study=study,
        suites={name: read_record(folder / "suites" / f"{name}.json", Suite) for name in names},
        models=list(dict.fromkeys((row["model"], row["size"], row["stage"]) for row in rows)),
        finished=datetime.fromtimestamp(written, UTC).replace(microsecond=0),
    )
