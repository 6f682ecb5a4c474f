"""The cells as data blocks that the page's script reads; texts come in blocks of their own.

A block stands in a ``<script type="application/json">``, which browsers never run. Texts are kept
out of the index, so that the list of cells is there at once and a text is parsed when it is read.
"""

import json
from typing import Any, get_args

from markupsafe import Markup

from steerability.estimate.grid import ALL_LABELS
from steerability.protocol.records import Completion, FinishReason
from steerability.report.page.collect import Run

FINISH_REASONS: tuple[FinishReason, ...] = get_args(FinishReason)
UNKNOWN = -1
# none of these can end a script block, open a comment in it, or break a line of JavaScript
_ESCAPES = {ord(mark): f"\\u{ord(mark):04x}" for mark in "<>&\u2028\u2029"}


def script_json(value: Any) -> Markup:
    """Return a value as JSON, keys sorted, that is inert inside an HTML ``script`` element."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return Markup(text.translate(_ESCAPES))


def index(run: Run) -> dict[str, Any]:
    """Return what filters and the list need: names, and one short row of numbers per cell.

    A cell's row is ``[model, intervention, scenario, finish reason, label of each judge…]``,
    each a position in the list of that name, -1 where there is none.
    """
    models = [name for name, _, _ in run.models]
    conditions = run.conditions
    scenarios = _scenarios(run)
    places = {scenario: at for at, scenario in enumerate(scenarios)}
    categories = [category.id for category in run.suite.categories]
    by_scenario = {c.scenario: c.category for c in run.completions}
    return {
        "run": run.name,
        "models": [{"name": n, "size": size, "stage": stage} for n, size, stage in run.models],
        "interventions": conditions,
        "categories": [{"id": c.id, "title": c.title} for c in run.suite.categories],
        "scenarios": [
            {"id": scenario, "category": categories.index(by_scenario[scenario])}
            for scenario in scenarios
        ],
        "judges": [{"name": name, "note": run.notes.get(name)} for name in run.labels],
        "labels": list(ALL_LABELS),
        "finish": list(FINISH_REASONS),
        "cells": [
            [
                models.index(cell.model),
                conditions.index(cell.intervention),
                places[cell.scenario],
                FINISH_REASONS.index(cell.finish_reason) if cell.finish_reason else UNKNOWN,
                *(
                    ALL_LABELS.index(labels[cell.id].label) if cell.id in labels else UNKNOWN
                    for labels in run.labels.values()
                ),
            ]
            for cell in run.completions
        ],
    }


def scenario_blocks(run: Run) -> list[dict[str, Any]]:
    """Return context, prompt, and the distinct prompts sent, of each scenario in order."""
    blocks: dict[str, dict[str, Any]] = {
        scenario: {"context": "", "prompt": "", "sent": []} for scenario in _scenarios(run)
    }
    for cell in run.completions:
        block = blocks[cell.scenario]
        block["context"], block["prompt"] = cell.context, cell.scenario_prompt
        if cell.prompt not in block["sent"]:
            block["sent"].append(cell.prompt)
    return list(blocks.values())


def output_blocks(run: Run) -> dict[str, list[dict[str, Any]]]:
    """Return the outputs of each model and scenario, keyed ``MODEL-SCENARIO`` by position."""
    sent = [block["sent"] for block in scenario_blocks(run)]
    places = {scenario: at for at, scenario in enumerate(_scenarios(run))}
    models = [name for name, _, _ in run.models]
    blocks: dict[str, list[dict[str, Any]]] = {}
    for cell in run.completions:
        place = places[cell.scenario]
        key = f"{models.index(cell.model)}-{place}"
        blocks.setdefault(key, []).append(_output(run, cell, sent[place].index(cell.prompt)))
    return blocks


def _output(run: Run, cell: Completion, sent: int) -> dict[str, Any]:
    verdicts = []
    for place, labels in enumerate(run.labels.values()):
        label = labels.get(cell.id)
        if label is not None:
            verdicts.append(
                {
                    "judge": place,
                    "label": ALL_LABELS.index(label.label),
                    "reason": label.reason,
                    "probabilities": label.probabilities,
                    "key": label.key,
                }
            )
    return {
        "intervention": run.conditions.index(cell.intervention),
        "sent": sent,
        "response": cell.response,
        "thinking": cell.thinking,
        "finish": cell.finish_reason,
        "promptTokens": cell.prompt_tokens,
        "completionTokens": cell.completion_tokens,
        "truncated": cell.truncated,
        "thinkingCut": cell.thinking_cut,
        "sha256": cell.completion_sha256,
        "key": cell.key,
        "verdicts": verdicts,
    }


def _scenarios(run: Run) -> list[str]:
    present = {cell.scenario for cell in run.completions}
    return [scenario.id for scenario in run.suite.scenarios if scenario.id in present]
