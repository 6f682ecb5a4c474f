"""What an export reads of a finished run: its manifest, completions, labels and suite."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from steerability.protocol.records import Completion, Label
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
        suite: the scenarios.
        models: name, size and stage of each, in the order of Table 1.
        judges: the primary one first.
        finished: when the manifest was written, UTC to the second.
    """

    folder: Path
    manifest: Manifest
    suite: Suite
    models: list[tuple[str, str, str]]
    judges: list[str]
    finished: datetime

    def completions(self, model: str) -> list[Completion]:
        """Return a model's completions in the order of its file."""
        return list(read_records(self.folder / "completions" / f"{model}.jsonl", Completion))

    def labels(self, model: str) -> dict[str, dict[str, Label]]:
        """Return judge → id of the cell → label, for the judges that labelled a model."""
        files = {j: self.folder / "labels" / j / f"{model}.jsonl" for j in self.judges}
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
    table = read_csv(folder / "table1.csv", ("model", "size", "stage", "judge"))
    if not table:
        raise UserError("no models", where=folder / "table1.csv")
    primary = table[0]["judge"]
    judges = {name.split("/")[1] for name in manifest.files if name.startswith("labels/")}
    written = (folder / MANIFEST).stat().st_mtime
    return FinishedRun(
        folder=folder,
        manifest=manifest,
        suite=read_record(folder / "suite.json", Suite),
        models=[(row["model"], row["size"], row["stage"]) for row in table],
        judges=[primary, *sorted(judges - {primary})],
        finished=datetime.fromtimestamp(written, UTC).replace(microsecond=0),
    )
