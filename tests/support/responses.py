"""Rows of responses, choices and labels, made up."""

from typing import Any

from steerability.protocol.label import Label
from steerability.protocol.response import Choice, Response
from steerability.support.canonical import sha256_text


def fields(identity: str, **more: Any) -> dict[str, Any]:
    """Return a response's fields by the name of its cell, ``MODEL/INTERVENTION/SCENARIO``."""
    model, intervention, scenario = identity.split("/")
    prompt, text = more.get("prompt", "p"), more.get("response", "r")
    return {
        "id": identity,
        "model": model,
        "intervention": intervention,
        "scenario": scenario,
        "category": "c",
        "context": "",
        "prompt": prompt,
        "plain_context": "",
        "plain_prompt": prompt,
        "sent": [{"role": "user", "content": prompt}],
        "response": text,
        "completion_sha256": sha256_text(text),
        "key": "k",
        **more,
    }


def response(identity: str, **more: Any) -> Response:
    return Response.model_validate(fields(identity, **more))


def choice(identity: str, *scores: tuple[float, ...], **more: Any) -> Choice:
    """Return a choice of the task ``choose``."""
    model, intervention, scenario = identity.split("/")
    given: dict[str, Any] = {
        "task": "choose",
        "model": model,
        "intervention": intervention,
        "scenario": scenario,
        **more,
    }
    name = f"{given['task']}/{identity}"
    answers = ("take it", "leave it")
    return Choice(id=name, scores=scores, answers=answers, key="k", **given)


def label(identity: str, outcome: str, judge: str = "rules") -> Label:
    return Label(id=identity, label=outcome, reason="made", judge=judge, key="1" * 64)
