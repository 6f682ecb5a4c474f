"""The published runs as the sources table names them: ``transcripts/MODEL/MODE/FILE``."""

import hashlib
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from steerability.fetch.sources import SourceFolder
from steerability.suites.model import Suite
from steerability.support.errors import UserError
from steerability.support.tables import read_csv
from steerability.transcripts import layout
from steerability.transcripts.layout import Benchmark, RunSettings
from steerability.transcripts.parse import ParsedRun, Suffix, parse_log

PREFIX = "transcripts/"
LOG = "stdout.log"
SETTINGS = "config.json"


class PublishedRun(NamedTuple):
    """One run of the author's: a model under one intervention.

    Attributes:
        model: the model's name in the published runs.
        intervention: ``pro``, ``none`` or ``anti``.
        log: name of its log in the sources table.
        settings: name of its ``config.json``.
    """

    model: str
    intervention: str
    log: str
    settings: str


def files_of(runs: Iterable[PublishedRun]) -> list[str]:
    """Return the names, in the sources table, of the files of runs."""
    return [name for run in runs for name in (run.log, run.settings)]


def published_runs(names: Iterable[str]) -> list[PublishedRun]:
    """Return the runs whose log and settings are both among the names of a sources table."""
    names = list(names)
    known = set(names)
    interventions = {mode: name for name, mode in layout.MODES.items()}
    runs = []
    for name in names:
        if not name.startswith(PREFIX) or not name.endswith(f"/{LOG}"):
            continue
        folder = name.removesuffix(LOG)
        model, _, mode = folder.removeprefix(PREFIX).rstrip("/").rpartition("/")
        if mode in interventions and folder + SETTINGS in known:
            runs.append(PublishedRun(model, interventions[mode], name, folder + SETTINGS))
    return runs


def benchmarks_of(suite: Suite) -> list[Benchmark]:
    """Return a suite's scenarios by category, as the log's blocks, in the suite's order."""
    titles = {category.id: category.title for category in suite.categories}
    return [
        Benchmark(layout.BENCHMARK_PREFIX + titles[category], list(scenarios))
        for category, scenarios in groupby(suite.scenarios, key=lambda one: one.category)
    ]


def settings_of(sources: SourceFolder, run: PublishedRun) -> RunSettings:
    """Read a run's settings, which must be those of the model and the condition it is named for.

    Raises:
        UserError: the file is missing, differs from its pin, or belongs to another run.
    """
    where = sources.path(run.settings)
    settings = layout.read_settings(sources.read(run.settings), where=where)
    if (settings.name, settings.mode) != (run.model, layout.MODES[run.intervention]):
        raise UserError(
            f"is of {settings.name} under {settings.mode}, not of {run.model} under "
            f"{layout.MODES[run.intervention]}",
            where=where,
            mend=f"correct the rows of {run.model} in {sources.table}",
        )
    return settings


def read_run(sources: SourceFolder, run: PublishedRun, suite: Suite, suffixes: Path) -> ParsedRun:
    """Read a run's log and check its suffix against the pinned digest.

    Args:
        sources: the fetched files.
        run: which run.
        suite: in the published selection and order.
        suffixes: the table of suffix digests.

    Raises:
        UserError: a file is missing, differs from its pin, or is not the log of this run.
    """
    where = str(sources.path(run.log))
    settings = settings_of(sources, run)
    parsed = parse_log(sources.text(run.log), settings, benchmarks_of(suite), where=where)
    check_suffix(parsed.suffix, suffixes, where=where)
    return parsed


def check_suffix(suffix: Suffix, table: Path, *, where: str) -> None:
    """Compare a recovered suffix with the digest that all published runs agree on.

    Args:
        suffix: as recovered, stripped.
        table: columns ``intervention,characters,sha256``, of the stripped text.
        where: the log it came from.

    Raises:
        UserError: it is another text, or the table has no row for it.
    """
    rows = read_csv(table, ("intervention", "characters", "sha256"))
    pins = {row["intervention"]: (row["characters"], row["sha256"]) for row in rows}
    found = str(len(suffix.text)), hashlib.sha256(suffix.text.encode()).hexdigest()
    if pins.get(suffix.name) != found:
        characters, pinned = pins.get(suffix.name, ("no", "none"))
        raise UserError(
            f"the suffix of {suffix.name} is not the published one: {found[0]} characters, "
            f"SHA-256 {found[1]}, pinned {characters} characters, {pinned}",
            where=where,
            mend=f"fetch the published log, or pin another suffix in {table}",
        )


def recover_suffix(
    sources: SourceFolder, suite: Suite, intervention: str, suffixes: Path
) -> Suffix:
    """Return a published suffix text, from the first fetched log of its condition.

    Args:
        sources: the fetched files.
        suite: in the published selection and order.
        intervention: ``pro`` or ``anti``.
        suffixes: the table of suffix digests.

    Raises:
        UserError: no log of this condition was fetched, or it is not what it should be.
    """
    runs = [run for run in published_runs(sources.sources) if run.intervention == intervention]
    if not runs:
        known = ", ".join(name for name in layout.MODES if name != "none")
        raise UserError(
            f"no published run has the intervention {intervention}",
            where=sources.table,
            mend=f"use one of {known}",
        )
    present = [run for run in runs if sources.path(run.log).is_file()]
    return read_run(sources, (present or runs)[0], suite, suffixes).suffix
