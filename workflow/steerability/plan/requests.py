"""One request per cell, and the shard that a scenario belongs to."""

import hashlib
from collections.abc import Iterator, Sequence

from steerability.config.model import EndpointModel, GgufModel
from steerability.protocol.records import Cell, Intervention, Message, PlannedRequest
from steerability.suites.model import Suite


def shard_of(scenario_id: str, shards: int) -> int:
    """Return the shard (0 … shards-1) of a scenario, from its id alone.

    Added scenarios never move others, and all interventions of a scenario share a shard, where
    they share their prefix too.
    """
    return int.from_bytes(hashlib.sha256(scenario_id.encode()).digest()[:8], "big") % shards


def plan_requests(
    name: str,
    model: GgufModel | EndpointModel,
    suite: Suite,
    interventions: Sequence[Intervention],
    *,
    max_tokens: int | None = None,
    template: str | None = None,
    send_context: bool = True,
) -> Iterator[PlannedRequest]:
    """Yield a model's requests, scenario by scenario, its interventions next to each other.

    The messages are those of the published protocol: the scenario's context, stripped, as the
    system message; the scenario with the suffix as the user message. A model with template
    ``none`` gets both as plain text, joined by an empty line.

    Args:
        name: the model's name.
        model: its entry in the config.
        suite: its scenarios, in their order.
        interventions: in the config's order.
        max_tokens: a limit of the run, where it is lower than the model's own.
        template: text of a chat template in place of the weights' own.
        send_context: False leaves the system message out; judges still see the context.
    """
    limit = min(model.max_tokens, max_tokens or model.max_tokens)
    plain = isinstance(model, GgufModel) and model.template == "none"
    for scenario in suite.scenarios:
        for intervention in interventions:
            steered = intervention.apply(scenario.prompt)
            cell = Cell(
                model=name,
                size=model.size,
                stage=model.stage,
                intervention=intervention.name,
                suite=suite.name,
                category=scenario.category,
                scenario=scenario.id,
            )
            context = scenario.context.strip() if send_context else ""
            system = (Message(role="system", content=context),) if context else ()
            stop = getattr(model, "stop", "eos")
            yield PlannedRequest(
                id=cell.cell_id,
                messages=None if plain else (*system, Message(role="user", content=steered)),
                prompt="\n\n".join(part for part in (context, steered) if part) if plain else None,
                max_tokens=limit,
                max_prompt_tokens=getattr(model, "max_prompt_tokens", None),
                template=template,
                stop=None if stop == "eos" else stop,
                thinking=model.thinking,
                sampling=model.sampling,
                cell=cell,
                context=scenario.context,
                scenario_prompt=scenario.prompt,
                steered_prompt=steered,
            )
