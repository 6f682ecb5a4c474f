"""The verb ``publish``."""

from pathlib import Path
from typing import Annotated

import typer

from steerability.publish.manifest import (
    MANIFEST,
    build_manifest,
)
from steerability.support.files import write_atomic


def publish(
    folder: Annotated[Path, typer.Argument(help="the run's folder")],
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="the published files and folders; by default all that lie there"),
    ] = None,
    run: Annotated[str | None, typer.Option(help="the run's name; by default the folder's")] = None,
) -> None:
    """Write ``manifest.json``: the digest of every published file, by stage and whole."""
    manifest = build_manifest(run or folder.name, folder, files or None)
    text = manifest.model_dump_json(indent=1) + "\n"
    write_atomic(folder / MANIFEST, text.encode("utf-8"))
    print(f"publish: {len(manifest.files)} files, digest {manifest.digest}, {folder / MANIFEST}")
