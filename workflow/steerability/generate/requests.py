"""Request lines to engine jobs with their keys."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from steerability.engine import Engine, Job, PromptError, Sampling, generation_key
from steerability.generate.turns import stop_tokens
from steerability.protocol.records import Request
from steerability.support.canonical import digest
from steerability.support.errors import UserError
from steerability.support.jsonl import read_records


class RequestLine(Request):
    """A request as it stands in a file; the plan's own fields pass through unread."""

    cell: Any = None
    context: Any = None
    scenario_prompt: Any = None
    steered_prompt: Any = None


@dataclass(frozen=True)
class Prepared:
    """A request with its prompt tokenised and its key made."""

    request: Request
    job: Job
    key: dict[str, Any]
    name: str
    truncated: bool


def read_requests(path: Path) -> list[RequestLine]:
    """Read a request file.

    Raises:
        UserError: a line is no request, an id comes twice, or there is no request at all.
    """
    requests = list(read_records(path, RequestLine))
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
) -> list[Prepared]:
    """Tokenise requests and make their keys.

    Args:
        requests: in any order.
        engine: its vocabulary and chat template are used, its tensors are not loaded.
        weights_sha256: digest of the weights, for the keys.
        where: the request file, for messages.

    Raises:
        UserError: a prompt cannot be rendered or does not fit; names the request.
        MemoryShortError: the memories do not hold the model.
    """
    rendered = [_render(request, engine, where) for request in requests]
    plan = engine.settle(max(len(job.prompt) + job.limit(engine.window) for job, _ in rendered))
    prepared = []
    for request, (job, truncated) in zip(requests, rendered, strict=True):
        sampled = request.sampling if request.sampling.temperature > 0 else None
        key = generation_key(
            weights_sha256,
            job.prompt,
            request.max_tokens,
            job.stop,
            sampling=sampled.model_dump() if sampled else None,
            plan=plan,
        )
        name = digest(key)
        if sampled:
            stream = Sampling(sampled.temperature, sampled.top_p, sampled.top_k, stream=name)
            job = replace(job, sampling=stream)
        prepared.append(Prepared(request, job, key, name, truncated))
    return prepared


def _render(request: Request, engine: Engine, where: Path) -> tuple[Job, bool]:
    """Return a request's job, without its sampling, and whether its prompt was cut."""
    try:
        if request.messages is not None:
            messages = [{"role": m.role, "content": m.content} for m in request.messages]
            prompt = engine.chat(messages, request.template, fold_system=request.fold_system)
        else:
            prompt = engine.plain(request.prompt or "")
        limit = request.max_prompt_tokens
        truncated = limit is not None and len(prompt) > limit
        prompt = prompt[:limit] if truncated else prompt
        engine.check(prompt)
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
    return Job(prompt, request.max_tokens, stop), truncated
