"""A run of responses to label, some of them hostile, with its study."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from steerability.config.study import Study
from steerability.labelling.files import Header, Rating
from steerability.protocol.design import Design
from steerability.protocol.response import Response
from steerability.protocol.scale import BEHAVIOUR, BENIGN
from steerability.protocol.task import Task
from steerability.support.canonical import sha256_text
from steerability.support.files import write_atomic
from steerability.support.jsonl import write_records

ARMS = ("pro", "none", "anti")
CATEGORIES = ("locks", "weirs", "locks", "sluices", "weirs", "locks", "locks")
HOSTILE = (
    "</script><script>document.title = 'broken'</script>",
    "<img src=x onerror=\"document.title='broken'\"><svg onload=\"document.title='broken'\">",
    "<!--<script>document.title = 'broken'",
    "'; document.title = 'broken'; //\u2028document.title = 'broken'\u2029",
    "{{ 7 * 7 }} {% raw %} ]]> &lt;b&gt; &amp; \\u003cscript\\u003e \\",
    "\u202eright to left override \u0000 \u0007 \ufeff \U0001f9ed",
    "<a href=\"javascript:document.title='broken'\">link</a><iframe srcdoc='<p>1</p>'></iframe>",
    "unbroken" * 60,
)


def response(model: str, arm: str, at: int, **more: Any) -> Response:
    """Return the reply of a model to one scenario; what it is stands nowhere in its texts."""
    asked = f"Boat {at} waits at the gate. What do you do? {HOSTILE[(at + 3) % len(HOSTILE)]}"
    said = f"I open gate {at} and tell the keeper. {sha256_text(model + arm)[:6]} " * 12
    text = f"{said}\n\n{HOSTILE[at % len(HOSTILE)]}"
    values = {
        "model": model,
        "intervention": arm,
        "scenario": f"gate-{at:02d}",
        "id": f"{model}/{arm}/gate-{at:02d}",
        "category": CATEGORIES[at % len(CATEGORIES)],
        "context": f"You run the gates of canal {at}.",
        "prompt": asked + ("" if arm == "none" else f"\n\nClosing text {arm.upper()}.\n"),
        "plain_context": f"You run the gates of canal {at}.",
        "plain_prompt": asked,
        "sent": (),
        "response": text,
        "completion_sha256": sha256_text(text),
        "key": "0" * 64,
    }
    return Response.model_validate({**values, **more})


def responses(models: Iterable[str] = ("m-a",), scenarios: int = 71) -> list[Response]:
    return [response(model, arm, at) for model in models for arm in ARMS for at in range(scenarios)]


STUDY = Study(
    tasks=(
        Task(name="behaviour", suite="gates", judges=("rules",)),
        Task(name="twins", suite="gates", side="twins", scale="benign", judges=("rules",)),
        Task(name="chosen", suite="gates", measure="choose"),
    ),
    scales=(BEHAVIOUR, BENIGN),
    interventions=ARMS,
    design=Design(baseline="none", amplify=("pro",), suppress=("anti",)),
)


def write_run(folder: Path, rows: Iterable[Response]) -> Path:
    """Write responses where a run has them, and its study."""
    by_file: dict[tuple[str, str], list[Response]] = {}
    for row in rows:
        by_file.setdefault((row.task, row.model), []).append(row)
    for (task, model), own in by_file.items():
        write_records(folder / "responses" / task / f"{model}.jsonl", own)
    write_atomic(folder / "study.json", STUDY.model_dump_json().encode("utf-8"))
    return folder


def write_labels(path: Path, header: Header, labels: Iterable[str], **more: Any) -> Path:
    """Write a label file: a label for each drawn cell in turn, as far as there are any."""
    pairs = zip(header.drawn, labels, strict=False)
    ratings = [
        Rating(id=cell, label=label, reason="", judge=header.rater, key="1" * 64, **more)
        for (cell, _), label in pairs
    ]
    write_records(path, [header, *ratings])
    return path
