"""The ``api`` judge: an OpenAI-compatible chat endpoint that answers in strict JSON.

Every answer is kept with its label, the refused ones too, so a rerun asks nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from steerability.chat.client import Client, Endpoint, RefusedError, ask_each, shown_name
from steerability.judges.base import Verdict
from steerability.judges.reading import FOLDER, ReadingSettings, form, load_reading, shown
from steerability.protocol.base import LARGEST
from steerability.protocol.request import FILTERED
from steerability.protocol.response import JudgeInput
from steerability.protocol.scale import BEHAVIOUR, JUDGE_FAILED, Scale
from steerability.support.canonical import canonical_json
from steerability.support.errors import UserError

BUILTIN = FOLDER / "api-rubric.md"
READ_SECONDS = 120.0
_SEMANTICS = 1
_REMINDER = (
    'That was not the JSON asked for. Answer with {"decision": …, "reason": …} and nothing else.'
)
_SHOWN = 120
_OWN_FIELDS = frozenset({"model", "messages", "stream", "n"})


class ApiSettings(ReadingSettings):
    """The settings in the rubric's file; see there."""

    max_tokens: int = Field(ge=16, le=LARGEST)
    limit_field: str
    response_format: Literal["json_schema", "json_object", "none"]
    request: dict[str, JsonValue]
    asks: int = Field(ge=1, le=10)

    @model_validator(mode="after")
    def _fields_can_be_sent(self) -> "ApiSettings":
        own = _OWN_FIELDS & {self.limit_field, *self.request}
        if own or not self.limit_field:
            raise ValueError(f"limit_field and request set no field that the judge sets: {own}")
        try:
            canonical_json(self.request)
        except (ValueError, RecursionError):
            raise ValueError("request holds a value that JSON cannot hold") from None
        return self


class _Answer(BaseModel):
    """What the judge must say, and nothing else."""

    model_config = ConfigDict(extra="forbid", strict=True)

    decision: str
    reason: str


@dataclass
class ApiJudge:
    """A judge behind an endpoint.

    Args:
        endpoint: where it answers; an answer by another model than the one named stops the run.
        rubric: the rubric's file; None is the built-in one.
        prompt_price: of a million prompt tokens, in any currency; None leaves the cost out.
        completion_price: of a million completion tokens.
        scale: what it chooses from.
    """

    endpoint: Endpoint
    rubric: Path | None = None
    prompt_price: float | None = None
    completion_price: float | None = None
    scale: Scale = BEHAVIOUR
    name: str = "api"
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __post_init__(self) -> None:
        self.settings, self.text = load_reading(self.rubric or BUILTIN, ApiSettings)

    @cached_property
    def definition(self) -> Mapping[str, Any]:
        """Rubric, settings, endpoint and model; neither key nor speed."""
        # keys of the first edition, which had one scale, stay what they are
        own = self.scale.names != BEHAVIOUR.names
        return {
            **({"labels": list(self.scale.names)} if own else {}),
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
            if answer.get("filtered") or answer.get("refused"):
                break
            try:
                said = _Answer.model_validate_json(answer["text"])
                if said.decision not in self.scale.names:
                    raise ValueError(said.decision)
            except ValueError:
                messages += [
                    {"role": "assistant", "content": answer["text"] or "(nothing)"},
                    {"role": "user", "content": _REMINDER},
                ]
                continue
            return Verdict(
                id=item.id, label=said.decision, reason=said.reason, answers=tuple(answers)
            )
        last = answers[-1]
        why = "the endpoint filtered it" if last.get("filtered") else "no valid answer"
        why = "the endpoint refused it" if last.get("refused") else why
        excerpt = " ".join(last["text"].split())[:_SHOWN]
        times = f"{len(answers)} time{'s' * (len(answers) > 1)}"
        return Verdict(
            id=item.id,
            label=JUDGE_FAILED,
            reason=f"{why}, asked {times}; last: {excerpt!r}",
            answers=tuple(answers),
        )

    def _answer(self, client: Client, messages: list[dict[str, str]]) -> dict[str, Any]:
        """Return what is kept of an answer; ``filtered`` or ``refused`` where there is none."""
        try:
            reply = client.ask(self._body(messages))
        except RefusedError as error:
            raise UserError(
                str(error),
                where=self.endpoint.model,
                mend=f"check url, model, rubric and key ({self.endpoint.key_env or 'key_env'})",
            ) from None
        if reply.refusal is not None:
            kept_back = "filtered" if reply.finish_reason == FILTERED else "refused"
            return {"text": reply.refusal, kept_back: True}
        filtered = reply.finish_reason == FILTERED
        nameless = filtered and reply.served_by is None
        if reply.served_by != self.endpoint.model and not nameless:
            raise UserError(
                f"{shown_name(reply.served_by)} answered in place of {self.endpoint.model}",
                where=self.endpoint.url,
                mend="pin the name that answers, or name an endpoint that keeps to the pin",
            )
        return {
            "text": reply.text,
            "filtered": filtered,
            "prompt_tokens": reply.prompt_tokens or 0,
            "completion_tokens": reply.completion_tokens or 0,
        }

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
                    "decision": {"type": "string", "enum": list(self.scale.names)},
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
