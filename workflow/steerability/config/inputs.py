"""Checking the files that a config names, before anything runs."""

from collections.abc import Iterator
from pathlib import Path

from steerability.config.model import Config, GgufModel, SuiteFile
from steerability.errors import UserError
from steerability.suites.load import load_intervention, load_suite

PUBLISHED = "published:"


def check_inputs(config: Config, home: Path) -> None:
    """Read the suite and the texts of a run, and see that its other files are there.

    Args:
        config: the run.
        home: the repository, which the config's own files are relative to.

    Raises:
        UserError: a file is missing or wrong; names it.
    """
    suite = config.catalogue.suites[config.suite]
    if isinstance(suite, SuiteFile):
        load_suite(home / suite.path)
    for name in config.interventions:
        text = config.catalogue.interventions[name]
        if text and not text.startswith(PUBLISHED):
            load_intervention(name, home / text)
    for what, path in _further_files(config, home):
        if not path.is_file():
            raise UserError(f"{what} is missing", where=path, mend="correct the path in the config")


def named_files(config: Config, home: Path) -> list[Path]:
    """Return every file that a run's config names, wherever it lies.

    Args:
        config: the run.
        home: the repository, which the config's own files are relative to.
    """
    suite = config.catalogue.suites[config.suite]
    texts = [config.catalogue.interventions[name] for name in config.interventions]
    files = [suite.path] if isinstance(suite, SuiteFile) else []
    files += [text for text in texts if text and not text.startswith(PUBLISHED)]
    return [home / path for path in files] + [path for _, path in _further_files(config, home)]


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
