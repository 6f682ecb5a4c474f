"""The verb ``plan``."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from steerability.config.model import Model
from steerability.plan.requests import plan_requests, shard_of
from steerability.protocol.records import Intervention, PlannedRequest
from steerability.suites.model import Suite
from steerability.support.errors import UserError
from steerability.support.files import read_text
from steerability.support.jsonl import explain, read_record, read_records, write_records


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
    model: Annotated[str, typer.Option(help="the model's name")] = "",
    spec: Annotated[str, typer.Option(help="the model's entry in the config, as JSON")] = "",
    suite: Annotated[
        Path | None, typer.Option(help="the suite, as `suite --output` writes it")
    ] = None,
    interventions: Annotated[Path | None, typer.Option(help="JSON lines of interventions")] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="a limit of new tokens below the model's own")
    ] = None,
    template: Annotated[
        Path | None, typer.Option(help="a Jinja chat template in place of the weights' own")
    ] = None,
    context: Annotated[
        bool, typer.Option(help="send the scenario's context as the system message")
    ] = True,
) -> None:
    """Write one request per cell of a model, or show what a whole config asks for.

    With files to write: a model's scenarios x interventions, split into shards. Without: the cells
    of a config (config.yaml when none is named) by model and intervention, the tokens they need at
    most, and the outside files and weights they need.
    """
    if not outputs:
        # fetching needs packages that the container of the other use does not have
        from steerability.needs.overview import show

        show(configfile or [Path("config.yaml")], mirror)
        return
    if not model or not spec or suite is None or interventions is None:
        raise UserError(
            "requests are written from --model, --spec, --suite and --interventions",
            mend="give all four, or no files to see a config's plan",
        )
    try:
        entry: Model = TypeAdapter(Model).validate_json(spec)
    except ValidationError as error:
        raise UserError(explain(error), where="--spec") from error
    text = None if template is None else read_text(template)
    shards: list[list[PlannedRequest]] = [[] for _ in outputs]
    requests = plan_requests(
        model,
        entry,
        read_record(suite, Suite),
        list(read_records(interventions, Intervention)),
        max_tokens=max_tokens,
        template=text,
        send_context=context,
    )
    for request in requests:
        shards[shard_of(request.cell.scenario, len(outputs))].append(request)
    for path, shard in zip(outputs, shards, strict=True):
        write_records(path, shard)
    cells = sum(len(shard) for shard in shards)
    print(f"plan: {model}: {cells:,} cells in {len(outputs)} shard(s)")
