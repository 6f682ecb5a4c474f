"""One request per cell, and the shard that a scenario belongs to."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from pydantic import Field

from steerability.config.catalogue import EndpointModel, GgufModel, Model
from steerability.config.model import Config
from steerability.config.study import tasks_of
from steerability.protocol.base import Count, Name, Record
from steerability.protocol.cell import Cell
from steerability.protocol.conversation import Conversation, Message
from steerability.protocol.intervention import Intervention
from steerability.protocol.request import AdapterFile, Request
from steerability.protocol.response import Planned, Shown
from steerability.protocol.task import Task
from steerability.suites.cases import cases_for
from steerability.suites.model import Case, Suite
from steerability.support.errors import UserError


class PlanSpec(Record):
    """What the plan of one model is made from, besides suites and interventions.

    Attributes:
        name: the model's name.
        model: its entry in the config.
        tasks: of the run, in its order.
        samples: replies to each request.
        max_tokens: a limit of the run, where it is lower than the model's own.
        send_context: False leaves the system message out; judges still see the context.
    """

    name: Name
    model: Model
    tasks: tuple[Task, ...] = Field(min_length=1)
    samples: Count = 1
    max_tokens: Count | None = None
    send_context: bool = True


def plan_spec(config: Config, name: str) -> PlanSpec:
    """Return what the plan of one model of a run is made from; its adapters come with the files."""
    return PlanSpec(
        name=name,
        model=config.catalogue.models[name],
        tasks=tasks_of(config),
        samples=config.samples,
        max_tokens=config.max_tokens,
        send_context=config.context == "sent",
    )


class PlannedRequest(NamedTuple):
    """A cell of the plan: what is sent, and what it is about."""

    request: Request
    planned: Planned


def shard_of(scenario_id: str, shards: int) -> int:
    """Return the shard (0 … shards-1) of a scenario, from its id alone.

    Added scenarios never move others, and all interventions of a scenario share a shard, where
    they share their prefix too.
    """
    return int.from_bytes(hashlib.sha256(scenario_id.encode()).digest()[:8], "big") % shards


def plan_requests(
    spec: PlanSpec,
    suites: Mapping[str, Suite],
    interventions: Sequence[Intervention],
    *,
    template: str | None = None,
    adapters: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[PlannedRequest]:
    """Yield a model's requests: by task and scenario, interventions next to each other.

    The messages are those of the published protocol: the scenario's context, stripped, as the
    system message, and the scenario as the user message; interventions edit both. A model with
    template ``none`` gets all of it as plain text, joined by empty lines.

    Args:
        spec: the model and what is asked of it.
        suites: by name; the scenarios of each in their order.
        interventions: in the config's order.
        template: text of a chat template in place of the weights' own.
        adapters: file of each adapter by its digest.

    Raises:
        UserError: an intervention was learnt or searched on a scenario that it would be tested
            on, does not go with the model or has an adapter without a file, or a scenario lacks
            what its task needs; names it.
    """
    for task in spec.tasks:
        if not task.asks(spec.name):
            continue
        for case in cases_for(suites[task.suite], task):
            for intervention in interventions:
                _refuse_seen(case, intervention)
                for sample in range(1 if task.measure == "choose" else spec.samples):
                    cell = Cell(
                        task=task.name,
                        model=spec.name,
                        intervention=intervention.name,
                        scenario=case.scenario,
                        sample=sample,
                    )
                    one = _planned(spec, task, case, intervention, cell)
                    files = _adapters(spec, intervention, adapters)
                    more = {"template": template, "adapters": files}
                    yield one._replace(request=one.request.model_copy(update=more))


def _refuse_seen(case: Case, intervention: Intervention) -> None:
    if case.scenario in intervention.provenance.scenarios:
        raise UserError(
            f"{intervention.name} was made on the scenario {case.scenario} and cannot be tested "
            "on it",
            where="interventions",
            mend="test it on scenarios of the split test, or make it on others",
        )


def _planned(
    spec: PlanSpec,
    task: Task,
    case: Case,
    intervention: Intervention,
    cell: Cell,
) -> PlannedRequest:
    model = spec.model
    whole = case.conversation
    edited = intervention.apply(whole)
    bare = whole.model_copy(update={"system": ""})
    sent = edited if spec.send_context else intervention.apply(bare)
    plain = isinstance(model, GgufModel) and model.template == "none"
    messages = (Message(role="user", content=sent.plain),) if plain else sent.messages
    request = Request(
        id=cell.cell_id,
        messages=None if plain else messages,
        prompt=sent.plain if plain else None,
        max_prompt_tokens=getattr(model, "max_prompt_tokens", None),
        fold_system=getattr(model, "fold_system", False) and not plain,
        **_measure(spec, task, case, cell),
    )
    shown = Shown(
        category=case.category,
        context=_background(case, edited),
        prompt=edited.asked,
        plain_context=case.context,
        plain_prompt=case.prompt,
    )
    answers = case.answers if task.measure == "choose" else None
    about = Planned(cell=cell, shown=shown, sent=messages, plain=plain, answers=answers)
    return PlannedRequest(request, about)


def _background(case: Case, edited: Conversation) -> str:
    """Return the background as a judge sees it: the suite's own where nothing edits it."""
    return case.context if edited.system == case.context.strip() else edited.system


def _measure(spec: PlanSpec, task: Task, case: Case, cell: Cell) -> dict[str, object]:
    model = spec.model
    if task.measure == "choose":
        if isinstance(model, EndpointModel):
            raise UserError(
                f"the endpoint {spec.name} gives no log-probabilities of given answers",
                where=f"task {task.name}",
                mend="leave the task out, or name models from weights",
            )
        return {"answers": case.answers, "thinking": model.thinking}
    stop = getattr(model, "stop", "eos")
    return {
        "max_tokens": min(model.max_tokens, spec.max_tokens or model.max_tokens),
        "stop": None if stop == "eos" else stop,
        "thinking": model.thinking,
        "sampling": model.sampling,
        "sample": cell.sample,
    }


def _adapters(
    spec: PlanSpec, intervention: Intervention, files: Mapping[str, str]
) -> tuple[AdapterFile, ...]:
    if intervention.adapters and isinstance(spec.model, EndpointModel):
        raise UserError(
            f"{intervention.name} reaches into a model, and {spec.name} is behind an endpoint",
            where="interventions",
            mend="leave the one or the other out",
        )
    for use in intervention.adapters:
        if use.sha256 not in files:
            raise UserError(
                f"{intervention.name}: no --adapter has the digest {use.sha256}",
                where="interventions",
                mend="give the adapter's file",
            )
    return tuple(
        AdapterFile(
            kind=use.kind,
            path=files[use.sha256],
            strength=use.strength,
            layers=use.layers,
            sha256=use.sha256,
        )
        for use in intervention.adapters
    )
