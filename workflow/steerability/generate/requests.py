"""Request lines to engine jobs with their keys."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from steerability.engine import (
    BatchPlan,
    Engine,
    Job,
    PromptError,
    Sampling,
    ScoreJob,
    choice_key,
    generation_key,
)
from steerability.generate.adapters import declared
from steerability.generate.choices import choice_job
from steerability.generate.turns import stop_tokens
from steerability.protocol.request import Request
from steerability.support.canonical import digest
from steerability.support.errors import UserError
from steerability.support.jsonl import read_records


@dataclass(frozen=True)
class Prepared:
    """A request with its prompt tokenised and its key made."""

    request: Request
    job: Job
    key: dict[str, Any]
    name: str
    truncated: bool


@dataclass(frozen=True)
class PreparedChoice:
    """A request for a choice, likewise."""

    request: Request
    job: ScoreJob
    key: dict[str, Any]
    name: str
    truncated: bool


def read_requests(path: Path, line: type[Request] = Request) -> list[Request]:
    """Read a request file.

    Args:
        path: one request a line.
        line: what each line must fit.

    Raises:
        UserError: a line is no request, an id comes twice, or there is no request at all.
    """
    requests = list(read_records(path, line))
    seen: set[str] = set()
    for request in requests:
        if request.id in seen:
            raise UserError(
                f"request id {request.id} comes twice", where=path, mend="ids must be unique"
            )
        seen.add(request.id)
    if not requests:
        raise UserError("holds no requests", where=path)
    return requests


def prepare(
    requests: Sequence[Request], engine: Engine, weights_sha256: str, where: Path
) -> list[Prepared | PreparedChoice]:
    """Tokenise requests, read their adapters and make their keys.

    Args:
        requests: in any order.
        engine: its vocabulary and chat template are used, its tensors are not loaded.
        weights_sha256: digest of the weights, for the keys.
        where: the request file, for messages.

    Raises:
        UserError: a prompt cannot be rendered or does not fit, or an adapter is at fault; names
            the request or the adapter.
        MemoryShortError: the memories do not hold the model.
    """
    adapters = declared(requests, engine, where)
    rendered = []
    for request, own in zip(requests, adapters, strict=True):
        prompt, truncated = _render(request, engine, where)
        job: Job | ScoreJob
        if request.answers is None:
            stop = _stop(request, engine, where)
            job = Job(prompt, request.max_tokens or 0, stop, adapters=own)
        else:
            job = choice_job(request, prompt, own, engine, where)
        rendered.append((job, truncated))
    plan = engine.settle(max(_longest(job, engine) for job, _ in rendered))
    prepared: list[Prepared | PreparedChoice] = []
    for request, (job, truncated) in zip(requests, rendered, strict=True):
        if isinstance(job, ScoreJob):
            key = choice_key(
                weights_sha256, job.prompt, job.continuations, adapters=job.adapters, plan=plan
            )
            prepared.append(PreparedChoice(request, job, key, digest(key), truncated))
        else:
            key = _key(request, job, weights_sha256, plan)
            job = _sampled(request, job, digest(key))
            prepared.append(Prepared(request, job, key, digest(key), truncated))
    return prepared


def _longest(job: Job | ScoreJob, engine: Engine) -> int:
    if isinstance(job, ScoreJob):
        return job.longest
    return len(job.prompt) + job.limit(engine.window)


def _key(request: Request, job: Job, weights_sha256: str, plan: BatchPlan | None) -> dict[str, Any]:
    sampled = request.sampling.temperature > 0
    key = generation_key(
        weights_sha256,
        job.prompt,
        job.max_tokens,
        job.stop,
        sampling=request.sampling.model_dump() if sampled else None,
        adapters=job.adapters,
        plan=plan,
    )
    return key | ({"sample": request.sample} if sampled and request.sample else {})


def _sampled(request: Request, job: Job, name: str) -> Job:
    """Return the job with its random stream, which is named as the object is."""
    asked = request.sampling
    if asked.temperature == 0:
        return job
    sampling = Sampling(asked.temperature, asked.top_p, asked.top_k, stream=name)
    return replace(job, sampling=sampling)


def _render(request: Request, engine: Engine, where: Path) -> tuple[tuple[int, ...], bool]:
    """Return a request's prompt and whether it was cut."""
    try:
        if request.messages is not None:
            prompt = _chat(request, engine)
        else:
            prompt = engine.plain(request.prompt or "")
        limit = request.max_prompt_tokens
        truncated = limit is not None and len(prompt) > limit
        prompt = prompt[:limit] if truncated else prompt
        engine.check(prompt)
    except PromptError as error:
        raise UserError(
            error.what, where=f"{where} request {request.id}", mend=error.mend
        ) from error
    return prompt, truncated


def _chat(request: Request, engine: Engine) -> tuple[int, ...]:
    """Return the prompt of chat messages, closed to the assistant's turn.

    An assistant's message at the end is the beginning of its answer: plain text right after the
    opening of its turn. Before it, and before answers to choose from, an opened thought is closed.
    """
    messages = [{"role": m.role, "content": m.content} for m in request.messages or ()]
    begun = messages.pop()["content"] if messages[-1]["role"] == "assistant" else ""
    prompt = engine.chat(
        messages,
        request.template,
        fold_system=request.fold_system,
        close_thought=bool(begun) or request.answers is not None,
    )
    return prompt + tuple(engine.vocabulary.tokenize(begun) if begun else ())


def _stop(request: Request, engine: Engine, where: Path) -> frozenset[int]:
    try:
        stop = stop_tokens(request, engine)
    except PromptError as error:
        raise UserError(
            error.what, where=f"{where} request {request.id}", mend=error.mend
        ) from error
    for token in stop:
        if not 0 <= token < engine.vocabulary.size:
            raise UserError(
                f"stop token {token} is not in the vocabulary of {engine.vocabulary.size} tokens",
                where=f"{where} request {request.id}",
                mend="name token ids of these weights",
            )
    return stop
