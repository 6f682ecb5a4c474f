"""The page: one HTML file that needs nothing but itself, and lets nothing in it but ours run.

Models' and judges' texts are untrusted. They reach the page in two ways only: escaped by the
template, or as JSON in blocks that browsers never execute and our script writes as text nodes.
The content policy admits one script and one style sheet by their digests, and nothing else.
"""

import base64
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from steerability.protocol.intervention import Intervention
from steerability.report.page.answer import answer, lead_figure
from steerability.report.page.collect import Run
from steerability.report.page.error import measured_error
from steerability.report.page.payload import Payload
from steerability.report.page.statistics import folded, verdicts
from steerability.report.page.views import judge_counts, tables_of
from steerability.report.page.words import labels_of, role_words
from steerability.support.inert import content_policy


def render(run: Run) -> Iterator[str]:
    """Yield the page of a run part by part; the same run gives the same parts.

    Args:
        run: what to show; its records are read while the parts are asked for.

    Raises:
        UserError: a record is missing or is not the one that the tables were made of.
    """
    css, js = _asset("page.css"), _asset("page.js")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["base64"] = lambda content: base64.b64encode(content).decode("ascii")
    template = environment.from_string(_asset("page.html.j2"))
    payload = Payload(run)
    lead = lead_figure(run)
    yield from template.generate(
        run=run,
        study=run.study,
        policy=content_policy(css, js),
        css=Markup(css),
        js=Markup(js),
        counts=_counts(run),
        answer=answer(run),
        lead=lead,
        figures=[figure for figure in run.figures if figure is not lead],
        tasks=tables_of(run),
        errors={judge: measured_error(run, judge) for judge in _all_judges(run)},
        judges=judge_counts(run),
        verdicts=verdicts(run),
        folded=folded(run),
        interventions=[_described(run, name) for name in run.shown_interventions],
        labels={scale.name: labels_of(scale) for scale in run.study.scales},
        payload=payload,
    )


def _asset(name: str) -> str:
    return (files("steerability.report.page") / name).read_text(encoding="utf-8")


def _all_judges(run: Run) -> dict[str, None]:
    named = dict.fromkeys(judge for task in run.study.tasks for judge in task.judges)
    return {**named, **dict.fromkeys(run.judges), **dict.fromkeys(run.study.notes)}


def _counts(run: Run) -> dict[str, str]:
    rows = [cell.row for cell in run.cells.values()]
    suites = {task.name: task.suite for task in run.study.tasks}
    return {
        "tasks": _plural(len({row.task for row in rows}), "task"),
        "models": _plural(len(run.models), "model"),
        "interventions": _plural(len(run.shown_interventions), "intervention"),
        "scenarios": _plural(len({(suites[row.task], row.scenario) for row in rows}), "scenario"),
        "cells": _plural(len(rows), "output"),
        "samples": _plural(run.study.samples, "sample"),
    }


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _described(run: Run, name: str) -> dict[str, Any]:
    """An intervention for readers: its role, means, and every text that it adds."""
    one = run.interventions.get(name)
    return {
        "name": name,
        "role": role_words(run.study.design, name),
        "known": one is not None,
        "edits": [(_where(edit.kind), _text(edit)) for edit in one.edits] if one else [],
        "facts": _facts(one) if one else [],
    }


def _where(kind: str) -> str:
    return {
        "append": "After the question",
        "prepend": "Before the question",
        "system": "In the system message",
        "turns": "Earlier turns",
        "prefill": "Beginning of the answer",
    }.get(kind, kind)


def _text(edit: Any) -> str:
    if edit.kind != "turns":
        return str(edit.text)
    return "\n\n".join(f"{each.role.capitalize()}: {each.content}" for each in edit.messages)


def _facts(one: Intervention) -> list[tuple[str, str]]:
    facts = [("family", one.family), ("access", one.access)]
    if one.strength is not None:
        facts.append(("strength", f"{one.strength:g}"))
    if one.control_of:
        facts.append(("control of", one.control_of))
    origin = one.provenance
    made = [origin.origin, origin.method, f"on {origin.model}" if origin.model else ""]
    made.append(f"{len(origin.scenarios)} scenarios" if origin.scenarios else "")
    made.append(f"{origin.budget:,} queries" if origin.budget is not None else "")
    facts.append(("origin", ", ".join(part for part in made if part)))
    for adapter in one.adapters:
        layers = f", layers {adapter.layers[0]} to {adapter.layers[1]}" if adapter.layers else ""
        facts.append((adapter.kind, f"{adapter.sha256}, times {adapter.strength:g}{layers}"))
    return facts
