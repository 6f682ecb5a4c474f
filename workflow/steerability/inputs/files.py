"""What a config names outside itself: its files, its weights, its published texts."""

from collections.abc import Iterator
from pathlib import Path

from steerability.config.catalogue import GgufModel, LlmJudge, PinnedAdapter, SuiteFile
from steerability.config.interventions import AdapterIntervention
from steerability.config.model import Config
from steerability.config.study import tasks_of
from steerability.fetch.pins import WeightPin, pick_pin, read_pins
from steerability.inputs.interventions import (
    entries_of,
    load_recipe,
    recipes_of,
    recovered_modes,
    text_files,
)
from steerability.protocol.task import Task
from steerability.suites.cases import cases_for
from steerability.suites.load import load_suite
from steerability.suites.model import Suite
from steerability.support.errors import UserError


def check_inputs(config: Config, home: Path) -> None:
    """Read the suite and the texts of a run, and see that its other files and weights are known.

    Args:
        config: the run.
        home: the repository, which the config's own files are relative to.

    Raises:
        UserError: a file is missing or wrong, or a weight or a published text is not known; names
            it.
    """
    for name in suites_of(config):
        suite = config.catalogue.suites[name]
        if isinstance(suite, SuiteFile):
            check_suite(config, name, load_suite(home / suite.path))
        elif any(
            task.measure == "choose" or task.side == "twins" for task in of_suite(config, name)
        ):
            raise UserError(
                "the published suite has neither answers to choose from nor twins",
                where=f"suite {name}",
                mend="name a suite of this project's form for that task",
            )
    for path in text_files(config, home):
        if not path.is_file():
            raise UserError(
                "no such file or directory", where=path, mend="correct the path in the config"
            )
    recovered = dict.fromkeys(recovered_modes(config), "")
    for recipe in recipes_of(config, home, recovered):
        # a pinned adapter may have to be fetched first
        if all(not part.file or Path(part.file).is_file() for part in recipe.parts):
            load_recipe(recipe)
    for what, path in _further_files(config, home):
        if not path.is_file():
            raise UserError(f"{what} is missing", where=path, mend="correct the path in the config")
    wanted_pins(config, home)


def suites_of(config: Config) -> tuple[str, ...]:
    """Return the names of the suites that a run's tasks use, each once."""
    return tuple(dict.fromkeys(task.suite for task in tasks_of(config)))


def of_suite(config: Config, suite: str) -> tuple[Task, ...]:
    """Return the tasks on a suite."""
    return tuple(task for task in tasks_of(config) if task.suite == suite)


def judge_names(config: Config) -> tuple[str, ...]:
    """Return the names of the judges that a run's tasks use, each once."""
    return tuple(dict.fromkeys(judge for task in tasks_of(config) for judge in task.judges))


def check_suite(config: Config, name: str, suite: Suite) -> None:
    """Check that a suite holds what the run's tasks ask of it.

    Args:
        config: the run.
        name: of the suite in the catalogue.
        suite: as read.

    Raises:
        UserError: a scenario lacks the twin or the answers that a task needs; names it.
    """
    kept = suite.pilot(config.scenarios_per_category)
    for task in of_suite(config, name):
        cases_for(kept, task)


def wanted_weights(config: Config) -> list[str]:
    """Return the weights of a run's models, of its judges and its adapters, each once.

    Models whose published outputs take the place of generation need none.
    """
    generated = config.models if config.outputs == "generate" else ()
    models = [config.catalogue.models[name] for name in generated]
    judges = [config.catalogue.judges[name] for name in judge_names(config)]
    names = [entry.weights for entry in models if isinstance(entry, GgufModel)]
    names += [entry.weights for entry in judges if isinstance(entry, LlmJudge)]
    for intervention in entries_of(config).values():
        if isinstance(intervention, AdapterIntervention):
            adapter = config.catalogue.adapters[intervention.adapter]
            names += [adapter.weights] if isinstance(adapter, PinnedAdapter) else []
    return list(dict.fromkeys(names))


def wanted_pins(config: Config, home: Path) -> list[WeightPin]:
    """Return the pins of a run's weights, in the order of ``wanted_weights``.

    Args:
        config: the run.
        home: the repository, which the config's own files are relative to.

    Raises:
        UserError: the weights table is wrong, or has no row for one of them.
    """
    table = home / config.sources.weights
    pins = read_pins(table)
    return [pick_pin(pins, name, table) for name in wanted_weights(config)]


def named_files(config: Config, home: Path) -> list[Path]:
    """Return every file that a run's config names, wherever it lies.

    Args:
        config: the run.
        home: the repository, which the config's own files are relative to.
    """
    suites = [config.catalogue.suites[name] for name in suites_of(config)]
    files = [home / suite.path for suite in suites if isinstance(suite, SuiteFile)]
    files += text_files(config, home)
    return files + [path for _, path in _further_files(config, home)]


def _further_files(config: Config, home: Path) -> Iterator[tuple[str, Path]]:
    """Yield templates, rubrics and what the analysis reads: their names in messages, and paths.

    What a run made lies, as ``results`` does, below the working folder.
    """
    for name in config.models:
        model = config.catalogue.models[name]
        template = model.template if isinstance(model, GgufModel) else "gguf"
        if template not in ("gguf", "none"):
            yield f"the chat template of {name}", home / template
    for judge in judge_names(config):
        rubric = getattr(config.catalogue.judges[judge], "rubric", None)
        if rubric:
            yield f"the rubric of {judge}", home / rubric
    for labels in config.analysis.reference_labels:
        yield "analysis.reference_labels", home / labels
    for variant, table in config.analysis.ablations.items():
        yield f"analysis.ablations.{variant}", Path(table)
    if config.analysis.calibration is not None:
        yield "analysis.calibration", Path(config.analysis.calibration)
