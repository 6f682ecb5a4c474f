"""The verb ``plan``."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from steerability.plan.requests import PlannedRequest, PlanSpec, plan_requests, shard_of
from steerability.protocol.intervention import Intervention
from steerability.suites.stored import read_suites
from steerability.support.canonical import sha256_file
from steerability.support.errors import UserError
from steerability.support.files import read_text
from steerability.support.jsonl import explain, read_records, write_records


def plan(
    outputs: Annotated[
        list[Path] | None, typer.Argument(help="one file of requests per shard")
    ] = None,
    configfile: Annotated[
        list[Path] | None,
        typer.Option(help="show what this config asks for; repeat to lay one over another"),
    ] = None,
    mirror: Annotated[
        Path | None, typer.Option(help="folder of the published files, for --configfile")
    ] = None,
    spec: Annotated[
        str, typer.Option(help="the model, its tasks and limits, as JSON (plan/requests.py)")
    ] = "",
    suite: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FILE: a suite, as `suite --output` writes it; repeatable"),
    ] = None,
    interventions: Annotated[Path | None, typer.Option(help="JSON lines of interventions")] = None,
    planned: Annotated[
        Path | None, typer.Option(help="what each request is about, one JSON object a line")
    ] = None,
    adapter: Annotated[
        list[Path] | None, typer.Option(help="a control vector or LoRA in use; repeatable")
    ] = None,
    template: Annotated[
        Path | None, typer.Option(help="a Jinja chat template in place of the weights' own")
    ] = None,
) -> None:
    """Write one request per cell of a model, or show what a whole config asks for.

    With files to write: a model's tasks x scenarios x interventions x samples, split into shards.
    Without: the cells of a config (config.yaml when none is named) by model and intervention, the
    tokens they need at most, and the outside files and weights they need.
    """
    if not outputs:
        # fetching needs packages that the container of the other use does not have
        from steerability.needs.overview import show

        show(configfile or [Path("config.yaml")], mirror)
        return
    if not spec or not suite or interventions is None or planned is None:
        raise UserError(
            "requests are written from --spec, --suite, --interventions and --planned",
            mend="give all four, or no files to see a config's plan",
        )
    try:
        wanted = PlanSpec.model_validate_json(spec)
    except ValidationError as error:
        raise UserError(explain(error), where="--spec") from error
    suites = read_suites(suite, (task.suite for task in wanted.tasks))
    text = None if template is None else read_text(template)
    shards: list[list[PlannedRequest]] = [[] for _ in outputs]
    requests = plan_requests(
        wanted,
        suites,
        list(read_records(interventions, Intervention)),
        template=text,
        adapters={sha256_file(path): str(path) for path in adapter or ()},
    )
    for one in requests:
        shards[shard_of(one.planned.cell.scenario, len(outputs))].append(one)
    for path, shard in zip(outputs, shards, strict=True):
        write_records(path, [one.request for one in shard])
    write_records(planned, [one.planned for shard in shards for one in shard])
    cells = sum(len(shard) for shard in shards)
    print(f"plan: {wanted.name}: {cells:,} cells in {len(outputs)} shard(s)")
