"""The page: one HTML file that needs nothing but itself, and lets nothing in it but ours run.

Models' and judges' texts are untrusted. They reach the page in two ways only: escaped by the
template, or as JSON in blocks that browsers never execute and our script writes as text nodes.
The content policy admits one script and one style sheet by their digests, and nothing else.
"""

import base64
import hashlib
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from steerability.estimate.grid import ALL_LABELS
from steerability.report.page.collect import Run
from steerability.report.page.payload import index, output_blocks, scenario_blocks, script_json
from steerability.report.page.statistics import folded, verdicts
from steerability.report.page.views import GAPS, label_counts, table_conditions, table_rows

LABEL_NAMES = {label: label.replace("_", " ").capitalize() for label in ALL_LABELS}
CONDITION_NAMES = {"pro": "Pro", "none": "No suffix", "anti": "Anti"}


def render(run: Run) -> str:
    """Return the page of a run; the same run gives the same bytes.

    Args:
        run: what to show.
    """
    css, js = _asset("page.css"), _asset("page.js")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["base64"] = lambda content: base64.b64encode(content).decode("ascii")
    template = environment.from_string(_asset("page.html.j2"))
    return template.render(
        run=run,
        policy=content_policy(css, js),
        css=Markup(css),
        js=Markup(js),
        counts=_counts(run),
        conditions=table_conditions(run),
        names={c: CONDITION_NAMES.get(c, c) for c in (*run.conditions, *CONDITION_NAMES)},
        labels=ALL_LABELS,
        label_names=LABEL_NAMES,
        table=table_rows(run),
        gaps=GAPS,
        judges=label_counts(run, ALL_LABELS),
        verdicts=verdicts(run),
        folded=folded(run),
        index=script_json(index(run)),
        scenarios=[script_json(block) for block in scenario_blocks(run)],
        outputs={key: script_json(block) for key, block in output_blocks(run).items()},
    )


def content_policy(css: str, js: str) -> str:
    """Return the content security policy of a page with this style sheet and this script."""
    return (
        f"default-src 'none'; script-src '{_source(js)}'; style-src '{_source(css)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; "
        "trusted-types 'none'"
    )


def _source(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _asset(name: str) -> str:
    return (files("steerability.report.page") / name).read_text(encoding="utf-8")


def _counts(run: Run) -> dict[str, Any]:
    scenarios = {cell.scenario for cell in run.completions}
    return {
        "models": _plural(len(run.models), "model"),
        "interventions": _plural(len(run.conditions), "intervention"),
        "scenarios": _plural(len(scenarios), "scenario"),
        "cells": _plural(len(run.completions), "output"),
    }


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
