"""Completions from an OpenAI-compatible chat endpoint as the model under test.

The same requests, store and output lines as the engine's; the key holds the address, the model's
name, the messages and the sampling, since what else decides the bytes is not known. Such a run can
be taken up again where it stopped, but not be promised to give the same texts again.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import model_validator

from steerability.chat.client import Client, Endpoint, RefusedError, ask_each
from steerability.chat.reply import Reply
from steerability.generate.outputs import flags
from steerability.generate.requests import read_requests
from steerability.protocol.request import NOT_ITS_OWN, THINK_END, Output, Request
from steerability.support.canonical import canonical_json, digest
from steerability.support.console import Progress
from steerability.support.errors import UserError
from steerability.support.files import write_atomic
from steerability.support.jsonl import write_records
from steerability.support.store import Store

READ_SECONDS = 1800.0
_FIELDS = frozenset({"model", "messages", "temperature", "top_p", "top_k", "seed", "stream", "n"})


class _EndpointLine(Request):
    """A request that an endpoint can answer: messages, and a text to be made."""

    @model_validator(mode="before")
    @classmethod
    def _asks_for_text(cls, line: Any) -> Any:
        if isinstance(line, Mapping) and line.get("answers") is not None:
            raise ValueError(
                "asks for a forced choice (answers), but an endpoint gives no log-probabilities "
                "of given texts; a choice needs weights (source: gguf)"
            )
        return line


def completion_key(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    """Return the key that a request's completion is stored under."""
    return {
        "kind": "completion",
        "endpoint": {"url": endpoint.base, "model": endpoint.model},
        "messages": [message.model_dump() for message in request.messages or ()],
        "max_tokens": request.max_tokens,
        "sampling": request.sampling.model_dump(),
        **({"sample": request.sample} if request.sample else {}),
    }


def run(
    endpoint: Endpoint,
    requests: Path,
    output: Path,
    store: Store,
    facts: Path | None = None,
    *,
    limit_field: str = "max_tokens",
) -> None:
    """Make the output file, and on the way every object that the store lacks.

    Args:
        endpoint: where the model answers.
        requests: the request lines.
        output: gets the output lines, in request order.
        store: of the completions.
        facts: a JSON file of what was made, and how long it took.
        limit_field: what the endpoint calls the limit of new tokens.

    Raises:
        UserError: the requests are wrong, or the endpoint refuses them.
        OSError: the endpoint keeps failing, or the disk is full; finished cells stay.
    """
    started = time.monotonic()
    if not limit_field.isidentifier() or limit_field in _FIELDS:
        raise UserError(
            f"{limit_field!r} is no name of a limit",
            where="--limit-field",
            mend="max_tokens or max_completion_tokens",
        )
    wanted = read_requests(requests, _EndpointLine)
    for request in wanted:
        if request.messages is None:
            raise UserError(
                "an endpoint takes messages, not a plain prompt",
                where=f"{requests} request {request.id}",
                mend="leave template: none out",
            )
        if request.adapters or request.answers is not None:
            raise UserError(
                "an endpoint takes neither adapters nor answers to choose from",
                where=f"{requests} request {request.id}",
                mend="run weights of your own (steerability generate)",
            )
    keys = {request.id: completion_key(endpoint, request) for request in wanted}
    names = {request.id: digest(keys[request.id]) for request in wanted}
    replies: dict[str, Reply] = {}
    for identity, name in names.items():
        value = store.get(keys[identity], fits=Reply.model_validate)
        if value is not None:
            replies[name] = Reply.model_validate(value)
    missing = {names[one.id]: one for one in wanted if names[one.id] not in replies}
    found = sum(name in replies for name in names.values())
    if missing:
        store.check_writable()

    def ask(client: Client, name: str) -> Reply:
        return _ask(client, endpoint, missing[name], limit_field)

    progress = Progress("query", len(missing))
    with progress:
        try:
            for name, reply in ask_each(endpoint, missing, ask, read_seconds=READ_SECONDS):
                store.put(keys[missing[name].id], reply.value())
                replies[name] = reply
                progress.tick(reply.completion_tokens or 0)
                progress.advance()
        except BaseException:
            made = sum(name in replies for name in names.values()) - found
            progress.close_with(len(wanted), found, made, "stopped; what arrived is in the store")
            raise
    lines = [_line(request, names[request.id], replies[names[request.id]]) for request in wanted]
    write_records(output, lines)
    progress.close_with(len(wanted), found, len(wanted) - found, flags(lines))
    if facts:
        served = sorted({one.served_by for one in replies.values() if one.served_by})
        known = {"endpoint": endpoint.model, "served_by": served, "made": len(missing)}
        seconds = round(time.monotonic() - started, 3)
        write_atomic(facts, canonical_json(known | {"seconds": seconds}) + b"\n")


def _ask(client: Client, endpoint: Endpoint, request: Request, limit_field: str) -> Reply:
    sampling = request.sampling
    body: dict[str, Any] = {
        "messages": [message.model_dump() for message in request.messages or ()],
        limit_field: request.max_tokens,
        "temperature": sampling.temperature,
    }
    if sampling.temperature > 0:
        body |= {"top_p": sampling.top_p, "seed": (sampling.seed + request.sample) % 2**32}
        body |= {"top_k": sampling.top_k} if sampling.top_k else {}
    try:
        return client.ask(body)
    except RefusedError as error:
        raise UserError(
            str(error),
            where=f"{endpoint.model} request {request.id}",
            mend=f"check url, model and the key in {endpoint.key_env or 'key_env'}",
        ) from None


def _line(request: Request, name: str, reply: Reply) -> Output:
    """Return the output line: reasoning that the endpoint sets apart is thinking, as is marked."""
    text, thinking, cut = reply.text, reply.thinking, False
    own = reply.finish_reason not in NOT_ITS_OWN
    if request.thinking and thinking is None:
        head, mark, tail = text.rpartition(THINK_END)
        thinking, text = (head.removeprefix("<think>"), tail) if mark else ("", text)
        cut = not mark and own
    elif request.thinking and not text:
        cut = reply.finish_reason == "length"
    return Output(
        id=request.id,
        text=text,
        thinking=thinking,
        finish_reason=reply.finish_reason,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        key=name,
        thinking_cut=cut,
    )
