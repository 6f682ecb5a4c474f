"""Reading what is analysed from the command line."""

from pydantic import ValidationError

from steerability.config.study import Study
from steerability.support.errors import UserError
from steerability.support.jsonl import explain

SPEC_HELP = "The run's study as JSON: tasks, scales, roles, notes and declared tests."


def read_study(text: str) -> Study:
    """Return the study that a verb's ``--spec`` holds.

    Args:
        text: JSON of a ``Study``; fields that are left out have their defaults.

    Raises:
        UserError: it is no JSON or does not fit.
    """
    try:
        return Study.model_validate_json(text)
    except ValidationError as error:
        raise UserError(
            explain(error), where="--spec", mend="rules make it of the config: config/study.py"
        ) from error
