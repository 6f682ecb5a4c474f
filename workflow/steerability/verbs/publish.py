"""The verb ``publish``."""

from pathlib import Path
from typing import Annotated

import typer

from steerability.publish.manifest import (
    MANIFEST,
    build_manifest,
    input_changes,
)
from steerability.support.documents import parse_json
from steerability.support.errors import UserError
from steerability.support.files import write_atomic


def publish(
    folder: Annotated[Path, typer.Argument(help="the run's folder")],
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="the published files and folders; by default all that lie there"),
    ] = None,
    run: Annotated[str | None, typer.Option(help="the run's name; by default the folder's")] = None,
    inputs: Annotated[
        str, typer.Option(help="JSON: SHA-256 by path of the files that the config names")
    ] = "{}",
) -> None:
    """Write ``manifest.json``: the digest of every published file, by stage and whole."""
    named = _named(inputs)
    if changed := input_changes(named).changed:
        raise UserError(changed[0], mend="it changed during the run; run the workflow again")
    manifest = build_manifest(run or folder.name, folder, files or None, named)
    text = manifest.model_dump_json(indent=1) + "\n"
    write_atomic(folder / MANIFEST, text.encode("utf-8"))
    print(f"publish: {len(manifest.files)} files, digest {manifest.digest}, {folder / MANIFEST}")


def _named(text: str) -> dict[str, str]:
    named = parse_json(text, "--inputs")
    if not isinstance(named, dict) or not all(isinstance(sha, str) for sha in named.values()):
        raise UserError("is no mapping of paths to digests", where="--inputs")
    return named
