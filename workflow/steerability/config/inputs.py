"""Checking the files that a config names, before anything runs."""

from pathlib import Path

from steerability.config.model import Config, GgufModel, SuiteFile
from steerability.errors import UserError
from steerability.suites.load import load_intervention, load_suite

PUBLISHED = "published:"


def check_inputs(config: Config, home: Path) -> None:
    """Read the suite and the texts of a run, and see that its other files are there.

    Args:
        config: the run.
        home: the repository, which paths in the config are relative to.

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
    for name in config.models:
        model = config.catalogue.models[name]
        template = model.template if isinstance(model, GgufModel) else "gguf"
        if template not in ("gguf", "none"):
            _exists(home / template, f"the chat template of {name}")
    for chosen in config.judges:
        rubric = getattr(config.catalogue.judges[chosen.judge], "rubric", None)
        if rubric:
            _exists(home / rubric, f"the rubric of {chosen.judge}")


def _exists(path: Path, what: str) -> None:
    if not path.is_file():
        raise UserError(f"{what} is missing", where=path, mend="correct the path in the config")
