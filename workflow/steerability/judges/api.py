"""The ``api`` judge: an OpenAI-compatible chat endpoint that answers in strict JSON.

Every answer is kept with its label, the refused ones too, so a rerun asks nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from steerability.chat.client import Client, Endpoint, RefusedError, ask_each
from steerability.judges.base import Verdict
from steerability.judges.reading import FOLDER, ReadingSettings, form, load_reading, shown
from steerability.protocol.records import FILTERED, JUDGE_FAILED, LABELS, JudgeInput, Outcome
from steerability.support.errors import UserError

BUILTIN = FOLDER / "api-rubric.md"
READ_SECONDS = 120.0
_SEMANTICS = 1
_REMINDER = (
    'That was not the JSON asked for. Answer with {"decision": …, "reason": …} and nothing else.'
)
_SHOWN = 120


class ApiSettings(ReadingSettings):
    """The settings in the rubric's file; see there."""

    max_tokens: int = Field(ge=16)
    limit_field: str
    response_format: Literal["json_schema", "json_object", "none"]
    request: dict[str, Any]
    asks: int = Field(ge=1, le=10)


class _Answer(BaseModel):
    """What the judge must say, and nothing else."""

    model_config = ConfigDict(extra="forbid", strict=True)

    decision: Outcome
    reason: str


@dataclass
class ApiJudge:
    """A judge behind an endpoint.

    Args:
        endpoint: where it answers; an answer by another model than the one named stops the run.
        rubric: the rubric's file; None is the built-in one.
        prompt_price: of a million prompt tokens, in any currency; None leaves the cost out.
        completion_price: of a million completion tokens.
    """

    endpoint: Endpoint
    rubric: Path | None = None
    prompt_price: float | None = None
    completion_price: float | None = None
    name: str = "api"
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __post_init__(self) -> None:
        self.settings, self.text = load_reading(self.rubric or BUILTIN, ApiSettings)

    @cached_property
    def definition(self) -> Mapping[str, Any]:
        """Rubric, settings, endpoint and model; neither key nor speed."""
        return {
            "judge": self.name,
            "semantics": _SEMANTICS,
            "form": form(self.settings.limits),
            "rubric": self.text,
            "settings": self.settings.model_dump(mode="json"),
            "reminder": _REMINDER,
            "url": self.endpoint.base,
            "model": self.endpoint.model,
            "temperature": 0,
        }

    @property
    def closing_note(self) -> str:
        """Tokens, and their cost where prices are known."""
        if not self.prompt_tokens:
            return ""
        words = f"{self.prompt_tokens:,} prompt and {self.completion_tokens:,} completion tokens"
        if self.prompt_price is None or self.completion_price is None:
            return words
        cost = self.prompt_tokens * self.prompt_price
        cost += self.completion_tokens * self.completion_price
        return f"{words}, cost {cost / 1e6:.4f}"

    def label(self, inputs: Sequence[JudgeInput]) -> Iterator[Verdict]:
        """Yield verdicts as answers come; the first failure ends what has not begun.

        Raises:
            UserError: the endpoint refuses the request, or another model answers.
            OSError: the endpoint keeps failing; finished cells stay in the store.
        """
        for _, verdict in ask_each(self.endpoint, inputs, self._ask, read_seconds=READ_SECONDS):
            for answer in verdict.answers:
                self.prompt_tokens += answer.get("prompt_tokens") or 0
                self.completion_tokens += answer.get("completion_tokens") or 0
            yield verdict

    def _ask(self, client: Client, item: JudgeInput) -> Verdict:
        messages = [
            {"role": "system", "content": self.text},
            {"role": "user", "content": shown(item, self.settings.limits)},
        ]
        answers: list[dict[str, Any]] = []
        while len(answers) < self.settings.asks:
            answer = self._answer(client, messages)
            answers.append(answer)
            if answer["filtered"]:
                break
            try:
                said = _Answer.model_validate_json(answer["text"])
            except ValidationError:
                messages += [
                    {"role": "assistant", "content": answer["text"] or "(nothing)"},
                    {"role": "user", "content": _REMINDER},
                ]
                continue
            return Verdict(
                id=item.id, label=said.decision, reason=said.reason, answers=tuple(answers)
            )
        last = answers[-1]
        why = "the endpoint filtered it" if last["filtered"] else "no valid answer"
        excerpt = " ".join(last["text"].split())[:_SHOWN]
        times = f"{len(answers)} time{'s' * (len(answers) > 1)}"
        return Verdict(
            id=item.id,
            label=JUDGE_FAILED,
            reason=f"{why}, asked {times}; last: {excerpt!r}",
            answers=tuple(answers),
        )

    def _answer(self, client: Client, messages: list[dict[str, str]]) -> dict[str, Any]:
        try:
            answer, served = client.ask(self._body(messages), _read)
        except RefusedError as error:
            if error.filtered:
                return {"text": error.words, "filtered": True}
            raise UserError(
                str(error),
                where=self.endpoint.model,
                mend=f"check url, model, rubric and key ({self.endpoint.key_env or 'key_env'})",
            ) from None
        if served != self.endpoint.model:
            raise UserError(
                f"{served} answered in place of {self.endpoint.model}",
                where=self.endpoint.url,
                mend="pin the name that answers, or name an endpoint that keeps to the pin",
            )
        return answer

    def _body(self, messages: list[dict[str, str]]) -> dict[str, Any]:
        settings = self.settings
        body: dict[str, Any] = {
            "messages": messages,
            "temperature": 0,
            settings.limit_field: settings.max_tokens,
            **settings.request,
        }
        if settings.response_format == "json_object":
            body["response_format"] = {"type": "json_object"}
        elif settings.response_format == "json_schema":
            schema = {
                "type": "object",
                "properties": {
                    "decision": {"type": "string", "enum": list(LABELS)},
                    "reason": {"type": "string"},
                },
                "required": ["decision", "reason"],
                "additionalProperties": False,
            }
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "verdict", "strict": True, "schema": schema},
            }
        return body


def _read(reply: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return what is kept of a reply, and which model answered."""
    choice, usage = reply["choices"][0], reply.get("usage") or {}
    message = choice["message"]
    answer = {
        "text": str(message.get("content") or message.get("refusal") or ""),
        "filtered": choice.get("finish_reason") == FILTERED,
        "prompt_tokens": int(usage.get("prompt_tokens") or 0),
        "completion_tokens": int(usage.get("completion_tokens") or 0),
    }
    return answer, str(reply.get("model"))
