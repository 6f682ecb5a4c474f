"""Published runs as completions and labels, in the records that generated ones have too.

A cell's key in the store is where its text comes from: the digests of log and settings, the
digest of the suite that frames the records, and the record's number. A run whose cells are all in
the store is not parsed again.
"""

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict

from steerability.fetch.sources import SourceFolder
from steerability.protocol.conversation import Conversation
from steerability.protocol.label import Label
from steerability.protocol.response import Response
from steerability.protocol.scale import BEHAVIOUR
from steerability.protocol.scenario import Scenario
from steerability.suites.model import Suite
from steerability.support.canonical import digest, sha256_text
from steerability.support.console import Progress
from steerability.support.errors import UserError
from steerability.support.store import Store
from steerability.transcripts.runs import (
    PublishedRun,
    files_of,
    published_runs,
    read_run,
    settings_of,
)

FORMAT = 1
"""Raised when the same log would be read into other values."""


class _StoredJudge(BaseModel):
    model_config = ConfigDict(strict=True)

    model: str
    max_output_tokens: int


def _published_label(value: str) -> str:
    if value not in BEHAVIOUR.names:
        raise ValueError(f"{value} is no published label")
    return value


class _Stored(BaseModel):
    """What is read of a stored record of a log."""

    model_config = ConfigDict(strict=True)

    prompt: str
    response: str
    thinking: str | None
    thinking_cut: bool
    label: Annotated[str, AfterValidator(_published_label)]
    reason: str
    judge: _StoredJudge


class PublishedModel(NamedTuple):
    """A model of the published runs.

    Attributes:
        name: its name in this run.
        published: its name in the published runs.
    """

    name: str
    published: str


class Transcribed(NamedTuple):
    """A model's responses and the labels that came with them, in the same order."""

    responses: list[Response]
    labels: list[Label]


def runs_of(
    sources: SourceFolder, published: str, interventions: Sequence[str]
) -> list[PublishedRun]:
    """Return a model's runs, one per intervention, in the interventions' order.

    Raises:
        UserError: the sources table has no run for one of them.
    """
    runs = {
        run.intervention: run for run in published_runs(sources.sources) if run.model == published
    }
    for name in interventions:
        if name not in runs:
            known = ", ".join(runs) or "none"
            raise UserError(
                f"no published run of {published} has the intervention {name} (it has: {known})",
                where=sources.table,
                mend="name another model or intervention in the config",
            )
    return [runs[name] for name in interventions]


def transcribe_model(
    model: PublishedModel,
    runs: Sequence[PublishedRun],
    suite: Suite,
    sources: SourceFolder,
    *,
    suffixes: Path,
    judge: str,
    store: Store,
    log: Path | None = None,
) -> Transcribed:
    """Read a model's published runs.

    Args:
        model: which model.
        runs: its runs to read, one per intervention.
        suite: in the published selection and order.
        sources: the fetched files.
        suffixes: the table of suffix digests.
        judge: what the published labels' judge is called in this run.
        store: where cells are looked up and kept.
        log: a file for the plain lines.

    Returns:
        Completions and labels, scenario by scenario, the interventions next to each other.

    Raises:
        UserError: a file is missing, differs from its pin, or is not the log of its run.
    """
    for name in files_of(runs):
        sources.read(name)
    wanted = len(suite.scenarios) * len(runs)
    columns, made = [], 0
    with Progress("transcribe", wanted, log=log, unit="") as progress:
        for run in runs:
            cells, new = _cells(run, suite, sources, suffixes, store)
            columns.append(_rows(model, run, suite, cells, judge, store))
            made += new
            progress.advance(len(cells))
        progress.close_with(wanted, wanted - made, made)
    rows = [row for scenario in zip(*columns, strict=True) for row in scenario]
    return Transcribed([one for one, _ in rows], [one for _, one in rows])


def _cells(
    run: PublishedRun,
    suite: Suite,
    sources: SourceFolder,
    suffixes: Path,
    store: Store,
) -> tuple[list[tuple[str, dict[str, Any]]], int]:
    """Return each record's key name and value, and how many were parsed just now."""
    content = {name: sources.read(name) for name in files_of([run])}
    key = {
        "kind": "transcript",
        "format": FORMAT,
        "log": hashlib.sha256(content[run.log]).hexdigest(),
        "settings": hashlib.sha256(content[run.settings]).hexdigest(),
        "suite": suite.digest,
    }
    keys = [{**key, "record": number} for number in range(1, len(suite.scenarios) + 1)]
    found = [store.get(one, fits=_Stored.model_validate) for one in keys]
    made = 0
    if None in found:
        store.check_writable()
        settings = settings_of(sources, run)
        parsed = read_run(sources, run, suite, suffixes)
        for place, (one, record) in enumerate(zip(keys, parsed.records, strict=True)):
            if found[place] is None:
                found[place] = {
                    "prompt": record.prompt,
                    "response": record.answer,
                    "thinking": record.thinking,
                    "thinking_cut": record.thinking_cut,
                    "label": record.label,
                    "reason": record.reason,
                    "judge": {"model": settings.judge, "max_output_tokens": settings.judge_tokens},
                }
                store.put(one, found[place])
                made += 1
    values = [value for value in found if value is not None]
    return list(zip(map(digest, keys), values, strict=True)), made


def _rows(
    model: PublishedModel,
    run: PublishedRun,
    suite: Suite,
    cells: Sequence[tuple[str, dict[str, Any]]],
    judge: str,
    store: Store,
) -> list[tuple[Response, Label]]:
    rows = []
    for scenario, (key, value) in zip(suite.scenarios, cells, strict=True):
        response = _response(model, run, scenario, key, value)
        label_key = {"kind": "published_label", "completion": key, "judge": value["judge"]}
        verdict = {"label": value["label"], "reason": value["reason"], "probabilities": None}
        if store.get(label_key, fits=partial(_is_verdict, verdict)) is None:
            store.put(label_key, verdict)
        rows.append(
            (response, Label(id=response.id, judge=judge, key=digest(label_key), **verdict))
        )
    return rows


def _is_verdict(verdict: dict[str, Any], stored: Any) -> None:
    if stored != verdict:
        raise ValueError("another label than that of the log")


def _response(
    model: PublishedModel,
    run: PublishedRun,
    scenario: Scenario,
    key: str,
    value: dict[str, Any],
) -> Response:
    return Response(
        id=f"{model.name}/{run.intervention}/{scenario.id}",
        model=model.name,
        intervention=run.intervention,
        category=scenario.category,
        scenario=scenario.id,
        context=scenario.context,
        prompt=value["prompt"],
        plain_context=scenario.context,
        plain_prompt=scenario.prompt,
        sent=Conversation(system=scenario.context.strip(), question=value["prompt"]).messages,
        response=value["response"],
        thinking=value["thinking"],
        thinking_cut=value["thinking_cut"],
        completion_sha256=sha256_text(value["response"]),
        key=key,
    )
