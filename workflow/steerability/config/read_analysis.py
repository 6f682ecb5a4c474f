"""Reading what is to be analysed: the ``analysis`` section of a config."""

from pathlib import Path

from pydantic import ValidationError

from steerability.config.analysis import Analysis
from steerability.config.load import read_yaml
from steerability.support.errors import UserError
from steerability.support.jsonl import explain

PLAN_HELP = "The config's analysis section as JSON, or a config file that holds one."


def read_plan(text: str) -> Analysis:
    """Return the analysis section.

    Args:
        text: JSON of the section, or the path of a YAML config file (without the section: its
            defaults).

    Raises:
        UserError: it cannot be read or does not fit.
    """
    try:
        if text.lstrip().startswith("{"):
            return Analysis.model_validate_json(text)
        return Analysis.model_validate(read_yaml(Path(text)).get("analysis", {}))
    except ValidationError as error:
        raise UserError(
            explain(error), where="--analysis", mend="docs/config.md lists every key and its type"
        ) from error
