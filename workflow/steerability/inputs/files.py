"""What a config names outside itself: its files, its weights, its published texts."""

from collections.abc import Iterator
from pathlib import Path

from steerability.config.model import Config, GgufModel, LlmJudge, SuiteFile
from steerability.fetch.pins import WeightPin, pick_pin, read_pins
from steerability.suites.load import load_intervention, load_suite
from steerability.support.errors import UserError
from steerability.transcripts.layout import MODES

PUBLISHED = "published:"


def check_inputs(config: Config, home: Path) -> None:
    """Read the suite and the texts of a run, and see that its other files and weights are known.

    Args:
        config: the run.
        home: the repository, which the config's own files are relative to.

    Raises:
        UserError: a file is missing or wrong, or a weight or a published text is not known; names
            it.
    """
    suite = config.catalogue.suites[config.suite]
    if isinstance(suite, SuiteFile):
        load_suite(home / suite.path)
    for name, path in intervention_files(config, home).items():
        load_intervention(name, path)
    for what, path in _further_files(config, home):
        if not path.is_file():
            raise UserError(f"{what} is missing", where=path, mend="correct the path in the config")
    wanted_pins(config, home)


def published_mode(text: str) -> str | None:
    """Return ``pro``, ``anti`` or ``none`` for an intervention ``published:LABEL``, else None.

    Raises:
        UserError: no published run has that label.
    """
    if not text.startswith(PUBLISHED):
        return None
    label = text.removeprefix(PUBLISHED)
    for name, mode in MODES.items():
        if mode == label:
            return name
    raise UserError(
        f"no published run is labelled {label}",
        where="catalogue.interventions",
        mend=f"use one of {', '.join(PUBLISHED + mode for mode in MODES.values())}",
    )


def recovered_suffixes(config: Config) -> dict[str, str]:
    """Return ``pro`` or ``anti`` by intervention, for those whose text is recovered from a log.

    ``published:baseline`` is no suffix: nothing is recovered for it.

    Raises:
        UserError: no published run has that label.
    """
    modes = {
        name: published_mode(config.catalogue.interventions[name]) for name in config.interventions
    }
    return {name: mode for name, mode in modes.items() if mode and mode != "none"}


def intervention_files(config: Config, home: Path) -> dict[str, Path]:
    """Return the file by intervention, for those whose text stands in a file of their own.

    Args:
        config: the run.
        home: the repository, which the config's own files are relative to.

    Raises:
        UserError: no published run has that label.
    """
    texts = {name: config.catalogue.interventions[name] for name in config.interventions}
    return {
        name: home / text for name, text in texts.items() if published_mode(text) is None and text
    }


def wanted_weights(config: Config) -> list[str]:
    """Return the weights of a run's models, then of its judges, each once.

    Models whose published outputs take the place of generation need none.
    """
    generated = config.models if config.outputs == "generate" else ()
    models = [config.catalogue.models[name] for name in generated]
    judges = [config.catalogue.judges[use.judge] for use in config.judges]
    names = [entry.weights for entry in models if isinstance(entry, GgufModel)]
    names += [entry.weights for entry in judges if isinstance(entry, LlmJudge)]
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
    suite = config.catalogue.suites[config.suite]
    files = [home / suite.path] if isinstance(suite, SuiteFile) else []
    files += intervention_files(config, home).values()
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
    for chosen in config.judges:
        rubric = getattr(config.catalogue.judges[chosen.judge], "rubric", None)
        if rubric:
            yield f"the rubric of {chosen.judge}", home / rubric
    for labels in config.analysis.reference_labels:
        yield "analysis.reference_labels", home / labels
    for variant, table in config.analysis.ablations.items():
        yield f"analysis.ablations.{variant}", Path(table)
    if config.analysis.calibration is not None:
        yield "analysis.calibration", Path(config.analysis.calibration)
