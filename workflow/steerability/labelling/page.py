"""The labelling page: one HTML file that opens from disk and sends nothing anywhere.

Replies and prompts are untrusted: they lie in the page as JSON that no browser runs, and the
script writes them as text. The content policy admits that script and one style sheet by their
digests, and no connection at all.
"""

from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from steerability.judges.base import content_of
from steerability.labelling.draw import Drawn
from steerability.labelling.files import AS_SENT, WITHOUT, Header
from steerability.protocol.response import JudgeInput, Response
from steerability.protocol.scale import BEHAVIOUR, Scale
from steerability.support.canonical import digest
from steerability.support.inert import content_policy, script_json

RATER = "rater"
_TEXTS = ("context", "prompt", "response")


def header_of(drawn: Drawn, task: str, scale: Scale, *, cells: int, blind: bool) -> Header:
    """Return the header of the files that a page saves, but for the rater's name."""
    return Header(
        run=drawn.run,
        task=task,
        models=drawn.models,
        scale=scale.name,
        labels=scale.names,
        rater=RATER,
        shown=WITHOUT if blind else AS_SENT,
        seed=drawn.seed,
        cells=cells,
        draw=drawn.digest,
        drawn=drawn.names,
    )


def render(drawn: Drawn, header: Header, scale: Scale) -> str:
    """Return the page; the same draw gives the same bytes.

    Args:
        drawn: the cells.
        header: of the files that it saves.
        scale: what the rater chooses from.
    """
    css, js = _asset("label.css"), _asset("label.js")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(_asset("label.html.j2"))
    return template.render(
        policy=content_policy(css, js),
        css=Markup(css),
        js=Markup(js),
        header=header,
        outcomes=scale.outcomes,
        words={outcome.name: outcome.words for outcome in scale.outcomes},
        behaviour=scale.names == BEHAVIOUR.names,
        number=len(drawn.cells),
        steered=header.shown == AS_SENT,
        data=script_json(
            {
                "header": header.model_dump(mode="json", exclude={"rater"}),
                "titles": [outcome.words for outcome in scale.outcomes],
                "cells": [_cell(cell, header) for cell in drawn.cells],
            }
        ),
    )


def _cell(cell: Response, header: Header) -> dict[str, Any]:
    """Return what the rater is shown, and the digest of just that."""
    blind = header.shown == WITHOUT
    shown = JudgeInput(
        id=cell.id,
        category=cell.category,
        context=cell.plain_context if blind else cell.context,
        prompt=cell.plain_prompt if blind else cell.prompt,
        response=cell.response,
    )
    texts = {name: getattr(shown, name) for name in _TEXTS}
    return {**texts, "key": digest(content_of(shown))}


def _asset(name: str) -> str:
    return (files("steerability.labelling") / name).read_text(encoding="utf-8")
