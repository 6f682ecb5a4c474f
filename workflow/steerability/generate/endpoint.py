"""Completions from an OpenAI-compatible chat endpoint as the model under test.

The same requests, store and output lines as the engine's; the key holds the address, the model's
name, the messages and the sampling, since what else decides the bytes is not known. Such a run can
be taken up again where it stopped, but not be promised to give the same texts again.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steerability.chat.client import Client, Endpoint, RefusedError, ask_each
from steerability.generate.outputs import flags
from steerability.generate.requests import read_requests
from steerability.protocol.records import FILTERED, THINK_END, FinishReason, Output, Request
from steerability.support.canonical import canonical_json, digest
from steerability.support.console import Progress
from steerability.support.errors import UserError
from steerability.support.files import write_atomic
from steerability.support.jsonl import write_records
from steerability.support.store import Store

READ_SECONDS = 1800.0
# what else an endpoint may say (nothing, words of its own) is not known to be any of these
_FINISHES: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "content_filter": FILTERED,
}


def completion_key(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    """Return the key that a request's completion is stored under."""
    return {
        "kind": "completion",
        "endpoint": {"url": endpoint.base, "model": endpoint.model},
        "messages": [message.model_dump() for message in request.messages or ()],
        "max_tokens": request.max_tokens,
        "sampling": request.sampling.model_dump(),
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
    wanted = read_requests(requests)
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
    values: dict[str, Any] = {name: store.get(keys[one]) for one, name in names.items()}
    missing = {names[one.id]: one for one in wanted if values[names[one.id]] is None}
    found = sum(values[name] is not None for name in names.values())
    if missing:
        store.check_writable()

    def ask(client: Client, name: str) -> dict[str, Any]:
        return _ask(client, endpoint, missing[name], limit_field)

    progress = Progress("query", len(missing))
    with progress:
        for name, value in ask_each(endpoint, missing, ask, read_seconds=READ_SECONDS):
            store.put(keys[missing[name].id], value)
            values[name] = value
            progress.tick(value["completion_tokens"] or 0)
            progress.advance()
    lines = [_line(request, names[request.id], values[names[request.id]]) for request in wanted]
    write_records(output, lines)
    progress.close_with(len(wanted), found, len(wanted) - found, flags(lines))
    if facts:
        served = sorted({str(v["served_by"]) for v in values.values() if v["served_by"]})
        known = {"endpoint": endpoint.model, "served_by": served, "made": len(missing)}
        seconds = round(time.monotonic() - started, 3)
        write_atomic(facts, canonical_json(known | {"seconds": seconds}) + b"\n")


def _ask(client: Client, endpoint: Endpoint, request: Request, limit_field: str) -> dict[str, Any]:
    sampling = request.sampling
    body: dict[str, Any] = {
        "messages": [message.model_dump() for message in request.messages or ()],
        limit_field: request.max_tokens,
        "temperature": sampling.temperature,
    }
    if sampling.temperature > 0:
        body |= {"top_p": sampling.top_p, "seed": sampling.seed}
        body |= {"top_k": sampling.top_k} if sampling.top_k else {}
    try:
        return client.ask(body, _value)
    except RefusedError as error:
        if error.filtered:
            return _filtered(error)
        raise UserError(
            str(error),
            where=f"{endpoint.model} request {request.id}",
            mend=f"check url, model and the key in {endpoint.key_env or 'key_env'}",
        ) from None


def _value(reply: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is stored of a reply."""
    choice, usage = reply["choices"][0], reply.get("usage") or {}
    message = choice["message"]
    return {
        "text": message.get("content") or "",
        "thinking": message.get("reasoning_content") or message.get("reasoning"),
        "finish_reason": _FINISHES.get(str(choice.get("finish_reason"))),
        "prompt_tokens": usage.get("prompt_tokens"),
        "completion_tokens": usage.get("completion_tokens"),
        "served_by": reply.get("model"),
    }


def _filtered(error: RefusedError) -> dict[str, Any]:
    """Return what is stored where the endpoint's filter kept the prompt from the model."""
    return {
        "text": "",
        "thinking": None,
        "finish_reason": FILTERED,
        "prompt_tokens": None,
        "completion_tokens": None,
        "served_by": None,
        "refusal": error.words,
    }


def _line(request: Request, name: str, value: Any) -> Output:
    text, thinking, cut = value["text"], value["thinking"], False
    reason: FinishReason | None = value["finish_reason"]
    if request.thinking and thinking is None:
        head, mark, tail = text.rpartition(THINK_END)
        thinking, text = (head.removeprefix("<think>"), tail) if mark else ("", text)
        cut = not mark and reason != FILTERED
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
