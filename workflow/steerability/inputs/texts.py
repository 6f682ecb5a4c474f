"""What a run's plan is made of: its suites and its interventions, read from where they are."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from steerability.config.catalogue import SuiteFile
from steerability.config.model import Config
from steerability.fetch.sources import SourceFolder
from steerability.fetch.weights import Places
from steerability.inputs.files import check_suite, suites_of
from steerability.inputs.interventions import load_recipe, recipes_of, recovered_modes
from steerability.protocol.intervention import Intervention
from steerability.suites.instrumentaleval import ORDER, load_instrumentaleval, source_name
from steerability.suites.load import load_suite
from steerability.suites.model import Suite
from steerability.support.errors import UserError
from steerability.transcripts.layout import MODES
from steerability.transcripts.runs import PublishedRun, files_of, published_runs, recover_suffix


def home_of(configfiles: Sequence[Path]) -> Path:
    """Return the repository that paths in configs are relative to: where the first one lies."""
    home = configfiles[0].resolve().parent
    return home if (home / "workflow").is_dir() else Path.cwd()


def places_of(config: Config, home: Path) -> Places:
    """Return where a run's weights are put and looked for.

    Args:
        config: the run.
        home: the repository.
    """
    search = [Path(folder) for folder in config.weights_search]
    return Places(Path(config.weights_dir), search, home / config.sources.weights, Path())


def suffix_run(
    sources: SourceFolder, mode: str, mirror: Path | None = None, own: Sequence[PublishedRun] = ()
) -> PublishedRun:
    """Return the published run that a suffix is recovered from.

    The text is the same in every log of its condition; the smallest is taken, of the run's own
    where it has one, of those that the mirror holds where there is one.

    Args:
        sources: the outside files.
        mode: ``pro`` or ``anti``.
        mirror: where they are taken from; None for their URLs.
        own: the published runs that take part anyway.

    Raises:
        UserError: no such log can be had.
    """
    every = published_runs(sources.sources)
    runs = [run for run in own if run.intervention == mode]
    runs = runs or [run for run in every if run.intervention == mode]
    if mirror is not None:
        runs = [run for run in runs if (mirror / sources.source(run.log).path).is_file()]
    if not runs:
        raise UserError(
            f"no published log of the condition {MODES[mode]}",
            where=mirror or sources.table,
            mend="name a mirror that holds one, or leave the mirror out",
        )
    return min(runs, key=lambda run: sources.source(run.log).bytes)


def wanted_sources(config: Config, sources: SourceFolder, mirror: Path | None = None) -> list[str]:
    """Return the names of the outside files that a run's plan is made from, each once."""
    suites = [config.catalogue.suites[name] for name in suites_of(config)]
    runs = [suffix_run(sources, mode, mirror) for mode in recovered_modes(config)]
    logs = files_of(runs)
    if all(isinstance(suite, SuiteFile) for suite in suites) and not logs:
        return []
    return [*map(source_name, ORDER), *logs]


def read_suite(config: Config, name: str, sources: SourceFolder, home: Path) -> Suite:
    """Read a suite of a run from its file, or from the fetched files, cut down to its pilot.

    Args:
        config: the run.
        name: the suite's name in the catalogue.
        sources: the fetched files.
        home: the repository, which the config's paths are relative to.

    Raises:
        UserError: a file is missing or wrong, or the suite lacks what a task needs.
    """
    entry = config.catalogue.suites[name]
    if isinstance(entry, SuiteFile):
        suite = load_suite(home / entry.path)
        check_suite(config, name, suite)
    else:
        suite = load_instrumentaleval(sources, entry.selection)
    return suite.pilot(config.scenarios_per_category)


def read_suites(config: Config, sources: SourceFolder, home: Path) -> dict[str, Suite]:
    """Read every suite that a run's tasks use, by its name in the catalogue.

    Raises:
        UserError: see ``read_suite``.
    """
    return {name: read_suite(config, name, sources, home) for name in suites_of(config)}


def read_interventions(config: Config, sources: SourceFolder, home: Path) -> Sequence[Intervention]:
    """Read a run's interventions, in its order, from their files or the published logs.

    Raises:
        UserError: a file is missing or wrong.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        recovered = {}
        for mode in recovered_modes(config):
            suite = load_instrumentaleval(sources)
            found = recover_suffix(sources, suite, mode, home / config.sources.suffixes)
            path = Path(folder) / f"{mode}.txt"
            path.write_text(found.text, encoding="utf-8")
            recovered[mode] = str(path)
        return [load_recipe(recipe) for recipe in recipes_of(config, home, recovered)]
