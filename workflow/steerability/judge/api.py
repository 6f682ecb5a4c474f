"""The ``api`` judge: an OpenAI-compatible chat endpoint that answers in strict JSON.

Every answer is kept with its label, the refused ones too, so a rerun asks nothing. The key goes
into one header: it is taken out of whatever an endpoint sends back before that is shown or kept.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from steerability.errors import UserError
from steerability.judge.base import Verdict
from steerability.judge.reading import FOLDER, ReadingSettings, load_reading, shown
from steerability.records import JUDGE_FAILED, LABELS, JudgeInput, Outcome

BUILTIN = FOLDER / "api-rubric.md"
ATTEMPTS = 6
WAIT_SECONDS = 2.0
LONGEST_WAIT = 120.0
TIMEOUT = httpx.Timeout(30.0, read=120.0)
_SEMANTICS = 1
_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_FILTERED = frozenset({"content_filter", "content_policy_violation"})
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


class PassingError(OSError):
    """The endpoint failed in a way that may pass; ``wait`` is what it asked for, in seconds."""

    def __init__(self, what: str, wait: float | None = None) -> None:
        super().__init__(what)
        self.wait = wait


@dataclass(frozen=True)
class Endpoint:
    """Where the judge answers.

    Attributes:
        url: base address, up to and including ``/v1``.
        model: the pinned name; an answer by another model stops the run.
        key_env: environment variable that holds the key; None sends none.
        concurrency: requests under way at once.
        prompt_price: of a million prompt tokens, in any currency; None leaves the cost out.
        completion_price: of a million completion tokens.
    """

    url: str
    model: str
    key_env: str | None = None
    concurrency: int = 4
    prompt_price: float | None = None
    completion_price: float | None = None

    def key(self) -> str:
        """Return the API key, empty where none is sent.

        Raises:
            UserError: the environment variable is not set.
        """
        key = os.environ.get(self.key_env, "").strip() if self.key_env else ""
        if self.key_env and not key:
            raise UserError(
                f"the environment variable {self.key_env} is not set",
                where=self.model,
                mend="set it to the endpoint's key",
            )
        return key


@dataclass
class ApiJudge:
    """A judge behind an endpoint.

    Args:
        endpoint: where it answers.
        rubric: the rubric's file; None is the built-in one.
    """

    endpoint: Endpoint
    rubric: Path | None = None
    name: str = "api"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    _key: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        self.settings, self.text = load_reading(self.rubric or BUILTIN, ApiSettings)

    @cached_property
    def definition(self) -> Mapping[str, Any]:
        """Rubric, settings, endpoint and model; neither key nor speed."""
        return {
            "judge": self.name,
            "semantics": _SEMANTICS,
            "rubric": self.text,
            "settings": self.settings.model_dump(mode="json"),
            "reminder": _REMINDER,
            "url": self.endpoint.url.rstrip("/"),
            "model": self.endpoint.model,
            "temperature": 0,
        }

    @property
    def closing_note(self) -> str:
        """Tokens, and their cost where prices are known."""
        if not self.prompt_tokens:
            return ""
        words = f"{self.prompt_tokens:,} prompt and {self.completion_tokens:,} completion tokens"
        prices = self.endpoint.prompt_price, self.endpoint.completion_price
        if prices[0] is None or prices[1] is None:
            return words
        cost = self.prompt_tokens * prices[0] + self.completion_tokens * prices[1]
        return f"{words}, cost {cost / 1e6:.4f}"

    def label(self, inputs: Sequence[JudgeInput]) -> Iterator[Verdict]:
        """Yield verdicts as answers come; the first failure ends what has not begun.

        Raises:
            UserError: the endpoint refuses the request, or another model answers.
            OSError: the endpoint keeps failing; finished cells stay in the store.
        """
        if not inputs:
            return
        self._key = self.endpoint.key()
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        with (
            httpx.Client(headers=headers, timeout=TIMEOUT) as client,
            ThreadPoolExecutor(self.endpoint.concurrency) as pool,
        ):
            jobs = [pool.submit(self._ask, client, item) for item in inputs]
            try:
                for job in as_completed(jobs):
                    verdict = job.result()
                    for answer in verdict.answers:
                        self.prompt_tokens += answer.get("prompt_tokens") or 0
                        self.completion_tokens += answer.get("completion_tokens") or 0
                    yield verdict
            finally:
                pool.shutdown(cancel_futures=True)

    def _ask(self, client: httpx.Client, item: JudgeInput) -> Verdict:
        messages = [
            {"role": "system", "content": self.text},
            {"role": "user", "content": shown(item, self.settings.limits)},
        ]
        answers: list[dict[str, Any]] = []
        while len(answers) < self.settings.asks:
            answer = self._post_until_answered(client, messages)
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

    def _post_until_answered(
        self, client: httpx.Client, messages: list[dict[str, str]]
    ) -> dict[str, Any]:
        retrying = Retrying(
            retry=retry_if_exception_type(PassingError),
            stop=stop_after_attempt(ATTEMPTS),
            wait=_wait,
            reraise=True,
        )
        try:
            answer: dict[str, Any] = retrying(self._post, client, messages)
        except PassingError as error:
            raise OSError(
                f"{self.endpoint.model}: {error} after {ATTEMPTS} attempts; finished cells are "
                "in the store, start again later"
            ) from None
        return answer

    def _post(self, client: httpx.Client, messages: list[dict[str, str]]) -> dict[str, Any]:
        url = f"{self.endpoint.url.rstrip('/')}/chat/completions"
        try:
            reply = client.post(url, json=self._body(messages))
        except httpx.TransportError as error:
            raise PassingError(f"no answer ({type(error).__name__})") from None
        if reply.status_code in _PASSING:
            asked = reply.headers.get("Retry-After", "")
            wait = float(asked) if asked.replace(".", "", 1).isdigit() else None
            raise PassingError(f"status {reply.status_code}", wait)
        if reply.status_code != 200:
            code, words = self._refusal(reply)
            if code in _FILTERED:
                return {"text": words, "filtered": True}
            raise UserError(
                f"the endpoint refuses (status {reply.status_code}): {words}",
                where=self.endpoint.model,
                mend=f"check url, model, rubric and key ({self.endpoint.key_env or 'key_env'})",
            )
        try:
            answer = reply.json()
            choice, usage = answer["choices"][0], answer.get("usage") or {}
            message = choice["message"]
            text = self._without_key(str(message.get("content") or message.get("refusal") or ""))
            found = {
                "text": text,
                "filtered": choice.get("finish_reason") == "content_filter",
                "prompt_tokens": int(usage.get("prompt_tokens") or 0),
                "completion_tokens": int(usage.get("completion_tokens") or 0),
            }
            served = self._without_key(str(answer.get("model")))
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            raise PassingError("an answer that is no chat completion") from None
        if served != self.endpoint.model:
            raise UserError(
                f"{served} answered in place of {self.endpoint.model}",
                where=self.endpoint.url,
                mend="pin the name that answers, or name an endpoint that keeps to the pin",
            )
        return found

    def _body(self, messages: list[dict[str, str]]) -> dict[str, Any]:
        settings = self.settings
        body: dict[str, Any] = {
            "model": self.endpoint.model,
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

    def _refusal(self, reply: httpx.Response) -> tuple[str, str]:
        try:
            error = reply.json()["error"]
            code = str(error.get("code") or error.get("type"))
            text = str(error["message"])
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError):
            code, text = "", reply.text
        return code, self._without_key(" ".join(text.split())[:200]) or "no reason given"

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "[key]") if self._key else text


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = getattr(error, "wait", None) or 0.0
    return min(max(asked, WAIT_SECONDS * 2.0 ** (state.attempt_number - 1)), LONGEST_WAIT)
