"""The manifest: a digest of every published file, by stage and whole.

A digest is the SHA-256 of the lines that ``sha256sum`` prints over its files, names relative to
the run's folder and sorted: ``cd results/RUN && sha256sum $(files) | sha256sum`` gives the same.
Facts (versions, images, durations) stand beside the digests and are covered by none.
"""

import hashlib
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from steerability import __version__
from steerability.protocol.base import Record
from steerability.support.canonical import sha256_file
from steerability.support.documents import parse_json
from steerability.support.errors import UserError
from steerability.support.files import read_bytes, read_text
from steerability.support.image import images_of
from steerability.support.jsonl import read_record

MANIFEST = "manifest.json"
# stage -> first parts of the names of its files, in the order of the flow
STAGES: dict[str, tuple[str, ...]] = {
    "responses": ("suites", "interventions.jsonl", "responses", "choices"),
    "labels": ("labels",),
    "cells": ("study.json", "cells.csv", "choices.csv"),
    "tables": (),
    "figures": ("figures",),
    "pages": ("index.html",),
}
_TABLE_SUFFIXES = {".csv", ".md", ".tex", ".html"}
# Requests and outputs lie in as many files as their model was split into jobs; what they say is in
# the responses. A trained judge's labels are digested; a last bit of its weights may differ.
_OUTSIDE = {
    *(MANIFEST, "logs", "facts", "benchmarks", "export"),
    *("requests", "planned", "outputs", "distilled", "training"),
}
_PACKAGES = ("snakemake", "llama-cpp-python", "numpy", "pandas", "matplotlib", "scikit-learn")


class Manifest(Record):
    """What ``manifest.json`` holds.

    Attributes:
        run: the run's name.
        digest: over all published files.
        stages: the same by stage.
        files: SHA-256 by name, relative to the run's folder.
        inputs: SHA-256 of the files that the config named, by path as the config led to them;
            outside the digests, as a path says nothing of the result.
        facts: what is worth knowing and no part of the result.
    """

    run: str
    digest: str
    stages: dict[str, str]
    files: dict[str, str]
    inputs: dict[str, str] = Field(default_factory=dict)
    facts: dict[str, Any] = Field(default_factory=dict)


def stage_of(name: str) -> str | None:
    """Return the stage that a file of a run belongs to, None for files outside the digests.

    Raises:
        UserError: no stage makes such a file.
    """
    first = name.split("/", 1)[0]
    if first in _OUTSIDE or Path(name).name.startswith("."):
        return None
    for stage, parts in STAGES.items():
        if first in parts:
            return stage
    if "/" not in name and Path(name).suffix in _TABLE_SUFFIXES:
        return "tables"
    raise UserError("a file that no stage made", where=name, mend="move it out of the run's folder")


def digest_of(files: Mapping[str, str]) -> str:
    """Return the SHA-256 of the ``sha256sum`` lines of files, sorted by name."""
    lines = "".join(f"{files[name]}  {name}\n" for name in sorted(files))
    return hashlib.sha256(lines.encode("utf-8")).hexdigest()


def digests_by_stage(files: Mapping[str, str]) -> dict[str, str]:
    """Return the digest of each stage that has files."""
    stages = {name: stage_of(name) for name in files}
    return {
        stage: digest_of({name: files[name] for name in files if stages[name] == stage})
        for stage in STAGES
        if stage in stages.values()
    }


def file_digests(folder: Path, files: Iterable[Path] | None = None) -> dict[str, str]:
    """Return name → SHA-256 of the files of a run that a digest covers, sorted by name.

    Args:
        folder: the run's folder.
        files: files and folders below it; None takes all that lie there.

    Raises:
        UserError: a file is missing, lies elsewhere, or no stage makes it.
    """
    paths: set[Path] = set()
    for path in [folder] if files is None else files:
        if not path.exists():
            raise UserError("is missing", where=path, mend="run the workflow again")
        paths |= {path} if path.is_file() else {item for item in path.rglob("*") if item.is_file()}
    try:
        names = sorted(path.resolve().relative_to(folder.resolve()).as_posix() for path in paths)
    except ValueError as error:
        raise UserError(str(error), where=folder) from error
    return {name: sha256_file(folder / name) for name in names if stage_of(name) is not None}


def gather_facts(folder: Path) -> dict[str, Any]:
    """Return what is worth knowing of a run but no part of its result."""
    versions = {"steerability": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    jobs = {
        path.relative_to(folder / "facts").with_suffix("").as_posix(): parse_json(
            read_bytes(path), path
        )
        for path in sorted((folder / "facts").rglob("*.json"))
    }
    seconds = {
        path.relative_to(folder / "benchmarks").with_suffix("").as_posix(): _seconds(path)
        for path in sorted((folder / "benchmarks").rglob("*.tsv"))
    }
    return {
        "versions": versions,
        "platform": platform.platform(),
        "images": images_of(folder / "logs"),
        "jobs": jobs,
        "seconds": {name: value for name, value in seconds.items() if value is not None},
    }


def _seconds(path: Path) -> float | None:
    rows = [line.split("\t") for line in read_text(path).splitlines() if line]
    if len(rows) < 2 or "s" not in rows[0]:
        return None
    try:
        return float(rows[1][rows[0].index("s")])
    except (IndexError, ValueError):
        return None


def build_manifest(
    run: str,
    folder: Path,
    files: Iterable[Path] | None = None,
    inputs: Mapping[str, str] | None = None,
) -> Manifest:
    """Digest every published file of a run.

    Args:
        run: the run's name.
        folder: the run's folder.
        files: the published files and folders; None takes all that lie in the folder.
        inputs: SHA-256 by path of the files that the config named.

    Raises:
        UserError: the folder is missing or holds a file that no stage made.
    """
    if not folder.is_dir():
        raise UserError("no such run", where=folder)
    digests = file_digests(folder, files)
    return Manifest(
        run=run,
        digest=digest_of(digests),
        stages=digests_by_stage(digests),
        files=digests,
        inputs=dict(inputs or {}),
        facts=gather_facts(folder),
    )


def read_manifest(path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        UserError: it is missing or is no manifest.
    """
    if not path.exists():
        raise UserError("no manifest: the run is not finished", where=path, mend="run it first")
    try:
        return Manifest.model_validate_json(read_bytes(path))
    except ValidationError as error:
        raise UserError("not a manifest", where=path, mend="make it again") from error


def differences(files: Mapping[str, str], here: Mapping[str, str]) -> Iterable[str]:
    """Yield one clause for every file that is missing, added or changed."""
    for name in sorted(files.keys() | here.keys()):
        if name not in here:
            yield f"{name} is missing"
        elif name not in files:
            yield f"{name} is not in the manifest: no rule of this run made it, move it away"
        elif files[name] != here[name]:
            yield f"{name} changed: {files[name]} in the manifest, {here[name]} here"


def vouched_file(folder: Path, manifest: Manifest, name: str) -> Path:
    """Return the path of a published file, which is what the manifest says.

    Args:
        folder: the run's folder.
        manifest: the run's.
        name: the file, relative to the folder.

    Raises:
        UserError: the manifest contradicts itself or does not name the file, or the file is
            missing or another one.
    """
    if digest_of(manifest.files) != manifest.digest:
        raise UserError(
            "the manifest's digest is not that of its files",
            where=folder / MANIFEST,
            mend="run the workflow again",
        )
    path, wanted = folder / name, manifest.files.get(name)
    try:
        actual = sha256_file(path)
    except OSError as error:
        raise UserError(
            f"cannot be read: {error.strerror}", where=path, mend="run the workflow again"
        ) from error
    if actual != wanted:
        raise UserError("not as the manifest says", where=path, mend="run the workflow again")
    return path


def models_of(manifest: Manifest) -> list[str]:
    """Return the models whose cells a manifest names."""
    found = (name.split("/") for name in sorted(manifest.files))
    names = (
        parts[2].removesuffix(".jsonl")
        for parts in found
        if len(parts) == 3 and parts[0] in ("responses", "choices")
    )
    return list(dict.fromkeys(names))


class InputChanges(NamedTuple):
    """How the files that a run's config named stand now: clauses, and paths that are not there."""

    changed: list[str]
    missing: list[str]


def input_changes(inputs: Mapping[str, str]) -> InputChanges:
    """Compare the files that a config named with their digests.

    A file that is not there is no fault: a run may be checked where only its folder is.

    Args:
        inputs: SHA-256 by path, relative to the working folder or absolute.
    """
    changed, missing = [], []
    for name, wanted in inputs.items():
        try:
            here = sha256_file(Path(name))
        except OSError:
            missing.append(name)
            continue
        if here != wanted:
            changed.append(f"{name} changed: {wanted} when the run read it, {here} here")
    return InputChanges(changed, missing)


class Expected(BaseModel):
    """Digests that a run is known to have: whole, and by stage in the order of the flow."""

    model_config = ConfigDict(frozen=True, extra="allow")

    digest: str
    stages: dict[str, str]


def read_expected(path: Path) -> Expected:
    """Read a file of expected digests, such as ``workflow/reference/demo.json``.

    Raises:
        UserError: it is missing or holds no digests.
    """
    return read_record(path, Expected)


def first_difference(expected: Expected, here: Manifest) -> str | None:
    """Return the first stage, in the order of the flow, whose digest is not the expected one."""
    for stage in STAGES:
        if expected.stages.get(stage) != here.stages.get(stage):
            return stage
    return None if expected.digest == here.digest else "whole"
