"""Completions from an OpenAI-compatible chat endpoint as the model under test.

The same requests, store and output lines as the engine's; the key holds the address, the model's
name, the messages and the sampling, since what else decides the bytes is not known. Such a run can
be taken up again where it stopped, but not be promised to give the same texts again. The API key
goes into one header and nowhere else.
"""

import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from steerability.canonical import canonical_json, digest
from steerability.console import Progress
from steerability.errors import UserError
from steerability.files import write_atomic
from steerability.generate.outputs import flags
from steerability.generate.requests import read_requests
from steerability.jsonl import write_records
from steerability.records import FinishReason, Output, Request
from steerability.store import Store

ATTEMPTS = 6
WAIT_SECONDS = 2.0
LONGEST_WAIT = 120.0
TIMEOUT = httpx.Timeout(30.0, read=1800.0)
_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_THINK_END = "</think>"


@dataclass(frozen=True)
class Endpoint:
    """Where a model answers.

    Attributes:
        url: base address, up to and including ``/v1``.
        model: the model's name there.
        key_env: environment variable that holds the API key; None sends none.
        limit_field: what the endpoint calls the limit of new tokens.
        concurrency: requests under way at once.
    """

    url: str
    model: str
    key_env: str | None = None
    limit_field: str = "max_tokens"
    concurrency: int = 4

    def headers(self) -> dict[str, str]:
        """Return the headers that authorise a request.

        Raises:
            UserError: the environment variable is not set.
        """
        if self.key_env is None:
            return {}
        key = os.environ.get(self.key_env, "").strip()
        if not key:
            raise UserError(
                f"the environment variable {self.key_env} is not set",
                where=self.model,
                mend="set it to the endpoint's key",
            )
        return {"Authorization": f"Bearer {key}"}


class PassingError(OSError):
    """The endpoint failed in a way that may pass; ``wait`` is what it asked for, in seconds."""

    def __init__(self, what: str, wait: float | None = None) -> None:
        super().__init__(what)
        self.wait = wait


def completion_key(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    """Return the key that a request's completion is stored under."""
    return {
        "kind": "completion",
        "endpoint": {"url": endpoint.url.rstrip("/"), "model": endpoint.model},
        "messages": [message.model_dump() for message in request.messages or ()],
        "max_tokens": request.max_tokens,
        "sampling": request.sampling.model_dump(),
    }


def run(
    endpoint: Endpoint, requests: Path, output: Path, store: Store, facts: Path | None = None
) -> None:
    """Make the output file, and on the way every object that the store lacks.

    Raises:
        UserError: the requests are wrong, or the endpoint refuses them.
        OSError: the endpoint keeps failing, or the disk is full; finished cells stay.
    """
    started = time.monotonic()
    wanted = read_requests(requests)
    for request in wanted:
        if request.messages is None:
            raise UserError(
                "an endpoint takes messages, not a plain prompt",
                where=f"{requests} request {request.id}",
                mend="leave template: none out",
            )
    keys = {request.id: completion_key(endpoint, request) for request in wanted}
    names = {request.id: digest(keys[request.id]) for request in wanted}
    values = {name: store.get(keys[one]) for one, name in names.items()}
    missing = {names[one.id]: one for one in wanted if values[names[one.id]] is None}
    found = sum(values[name] is not None for name in names.values())
    if missing:
        store.check_writable()
    progress = Progress("query", len(missing))
    with progress:
        for name, value in _ask_all(endpoint, missing):
            store.put(keys[missing[name].id], value)
            values[name] = value
            progress.tick(value["completion_tokens"] or 0)
            progress.advance()
    lines = [_line(request, names[request.id], values[names[request.id]]) for request in wanted]
    write_records(output, lines)
    progress.close_with(len(wanted), found, len(wanted) - found, flags(lines))
    if facts:
        served = sorted({str((value or {}).get("served_by")) for value in values.values()})
        known = {"endpoint": endpoint.model, "served_by": served, "made": len(missing)}
        seconds = round(time.monotonic() - started, 3)
        write_atomic(facts, canonical_json(known | {"seconds": seconds}) + b"\n")


def _ask_all(
    endpoint: Endpoint, missing: Mapping[str, Request]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each value as it comes; the first failure ends what has not begun."""
    headers = endpoint.headers()
    with (
        httpx.Client(headers=headers, timeout=TIMEOUT) as client,
        ThreadPoolExecutor(endpoint.concurrency) as pool,
    ):
        jobs = {
            pool.submit(_ask, client, endpoint, request): name for name, request in missing.items()
        }
        try:
            for job in as_completed(jobs):
                yield jobs[job], job.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _ask(client: httpx.Client, endpoint: Endpoint, request: Request) -> dict[str, Any]:
    retrying = Retrying(
        retry=retry_if_exception_type(PassingError),
        stop=stop_after_attempt(ATTEMPTS),
        wait=_wait,
        reraise=True,
    )
    try:
        answer: dict[str, Any] = retrying(_post, client, endpoint, request)
    except PassingError as error:
        raise OSError(
            f"{endpoint.model}: {error} after {ATTEMPTS} attempts; finished cells are in the "
            "store, start again later"
        ) from None
    return answer


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = getattr(error, "wait", None) or 0.0
    return min(max(asked, WAIT_SECONDS * 2.0 ** (state.attempt_number - 1)), LONGEST_WAIT)


def _post(client: httpx.Client, endpoint: Endpoint, request: Request) -> dict[str, Any]:
    sampling = request.sampling
    body: dict[str, Any] = {
        "model": endpoint.model,
        "messages": [message.model_dump() for message in request.messages or ()],
        endpoint.limit_field: request.max_tokens,
        "temperature": sampling.temperature,
    }
    if sampling.temperature > 0:
        body |= {"top_p": sampling.top_p, "seed": sampling.seed}
        body |= {"top_k": sampling.top_k} if sampling.top_k else {}
    try:
        reply = client.post(f"{endpoint.url.rstrip('/')}/chat/completions", json=body)
    except httpx.TransportError as error:
        raise PassingError(f"no answer ({type(error).__name__})") from None
    if reply.status_code in _PASSING:
        asked = reply.headers.get("Retry-After", "")
        wait = float(asked) if asked.replace(".", "", 1).isdigit() else None
        raise PassingError(f"status {reply.status_code}", wait)
    if reply.status_code != 200:
        raise UserError(
            f"the endpoint refuses (status {reply.status_code}): {_reason(reply)}",
            where=f"{endpoint.model} request {request.id}",
            mend=f"check url, model and the key in {endpoint.key_env or 'key_env'}",
        )
    try:
        answer = reply.json()
        choice, usage = answer["choices"][0], answer.get("usage") or {}
        message = choice["message"]
        return {
            "text": message.get("content") or "",
            "thinking": message.get("reasoning_content") or message.get("reasoning"),
            "finish_reason": "length" if choice.get("finish_reason") == "length" else "stop",
            "prompt_tokens": usage.get("prompt_tokens"),
            "completion_tokens": usage.get("completion_tokens"),
            "served_by": answer.get("model"),
        }
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise PassingError("an answer that is no chat completion") from None


def _reason(reply: httpx.Response) -> str:
    try:
        error = reply.json()["error"]
        text = error["message"] if isinstance(error, dict) else error
    except (ValueError, KeyError, TypeError):
        text = reply.text
    return " ".join(str(text).split())[:200] or "no reason given"


def _line(request: Request, name: str, value: Any) -> Output:
    text, thinking, cut = value["text"], value["thinking"], False
    if request.thinking and thinking is None:
        head, mark, tail = text.rpartition(_THINK_END)
        thinking, text = (head.removeprefix("<think>"), tail) if mark else ("", text)
        cut = not mark
    reason: FinishReason = value["finish_reason"]
    return Output(
        id=request.id,
        text=text,
        thinking=thinking if request.thinking else None,
        finish_reason=reason,
        prompt_tokens=value["prompt_tokens"],
        completion_tokens=value["completion_tokens"],
        key=name,
        thinking_cut=cut,
    )
