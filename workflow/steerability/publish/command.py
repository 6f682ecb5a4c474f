"""The verbs ``publish`` and ``verify``."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from steerability.files import write_atomic
from steerability.publish.manifest import (
    MANIFEST,
    build_manifest,
    differences,
    first_difference,
    read_expected,
    read_manifest,
)


def publish(
    folder: Annotated[Path, typer.Argument(help="the run's folder")],
    run: Annotated[str | None, typer.Option(help="the run's name; by default the folder's")] = None,
) -> None:
    """Write ``manifest.json``: the digest of every published file, by stage and whole."""
    manifest = build_manifest(run or folder.name, folder)
    text = manifest.model_dump_json(indent=1) + "\n"
    write_atomic(folder / MANIFEST, text.encode("utf-8"))
    print(f"publish: {len(manifest.files)} files, digest {manifest.digest}, {folder / MANIFEST}")


def verify(
    folder: Annotated[Path, typer.Argument(help="the run's folder")],
    expected: Annotated[
        Path | None, typer.Option(help="digests that the run must have, whole and by stage")
    ] = None,
) -> None:
    """Check every digest of a run, and where it leaves the expected one.

    Exit status 1 when a file is missing, added or changed, or a digest is not the expected one;
    the stage named is the first, in the order of the flow, that differs.
    """
    manifest = read_manifest(folder / MANIFEST)
    here = build_manifest(manifest.run, folder)
    faults = list(differences(manifest.files, here.files))
    for fault in faults:
        print(f"verify: {fault}", file=sys.stderr)
    if faults:
        print(f"verify: {folder}: {len(faults)} file(s) are not as the manifest says")
        raise typer.Exit(1)
    print(f"verify: {len(here.files)} files are as the manifest says, digest {here.digest}")
    if expected is not None:
        reference = read_expected(expected)
        stage = first_difference(reference, here)
        if stage is not None:
            print(f"verify: differs from {expected} since stage {stage}")
            raise typer.Exit(1)
        print(f"verify: the digest is that of {expected}")
