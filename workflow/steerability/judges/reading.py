"""The rubric of a judge that reads (``llm``, ``api``): settings and text in one Markdown file.

The file begins with YAML settings between two ``---`` lines; the rest is the system message.
"""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from steerability.judges.frame import frame
from steerability.protocol.response import JudgeInput
from steerability.support.canonical import sha256_text
from steerability.support.documents import parse_yaml
from steerability.support.errors import UserError
from steerability.support.files import read_text
from steerability.support.jsonl import explain

FOLDER = Path(__file__).resolve().parents[2] / "judges"
_LARGEST = 10_000_000


class Limits(BaseModel):
    """Most characters of each text that the judge is shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    context: int = Field(ge=100, le=_LARGEST)
    prompt: int = Field(ge=100, le=_LARGEST)
    response: int = Field(ge=100, le=_LARGEST)


class ReadingSettings(BaseModel):
    """What every judge that reads needs.

    Attributes:
        version: raised with every change that is published.
        limits: most characters shown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    limits: Limits


SettingsT = TypeVar("SettingsT", bound=ReadingSettings)


def load_reading(path: Path, settings: type[SettingsT]) -> tuple[SettingsT, str]:
    """Return the settings and the system message of a rubric file.

    Args:
        path: the Markdown file.
        settings: the model that its settings must fit.

    Raises:
        UserError: the file cannot be read, has no settings, or they do not fit.
    """
    content = read_text(path)
    parts = content.split("---\n", 2)
    if len(parts) != 3 or parts[0].strip() or not parts[2].strip():
        raise UserError(
            "is no rubric", where=path, mend="settings between two --- lines, then the text"
        )
    try:
        return settings.model_validate(parse_yaml(parts[1], path)), parts[2].strip()
    except ValidationError as error:
        raise UserError(explain(error), where=path) from error


def shown(item: JudgeInput, limits: Limits, response: int | None = None) -> str:
    """Return the three texts of a cell as a judge is shown them, each in its frame.

    The request's code comes from the background, so that a scenario's interventions share all of
    a prompt up to the suffix and an engine evaluates it once.

    Args:
        item: the cell.
        limits: most characters of each.
        response: a smaller limit for the response.
    """
    return "\n\n".join(
        (
            frame("BACKGROUND", item.context, limits.context),
            frame("REQUEST", item.prompt, limits.prompt, seed=item.context),
            frame("REPLY", item.response, response or limits.response),
        )
    )


def form(limits: Limits) -> str:
    """Return the digest of how texts are shown: frames, order and cuts, over stand-in contents.

    It belongs into a judge's definition, so that a change of the form is a change of the key.

    Args:
        limits: most characters of each text.
    """
    short = JudgeInput(
        id="id", category="category", context="context", prompt="prompt", response="response"
    )
    long = short.model_copy(
        update={name: "long " * limit for name, limit in limits.model_dump().items()}
    )
    return sha256_text("\n".join(shown(item, limits) for item in (short, long)))
