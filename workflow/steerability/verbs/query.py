"""The verb ``query``."""

from pathlib import Path
from typing import Annotated

import typer


def query(
    url: Annotated[str, typer.Option(help="Base address, up to and including /v1.")],
    model: Annotated[str, typer.Option(help="The model's name there.")],
    requests: Annotated[Path, typer.Option(help="Requests, one JSON object a line.")],
    output: Annotated[Path, typer.Option(help="Where the output lines go, in request order.")],
    key_env: Annotated[
        str | None, typer.Option(help="Environment variable that holds the API key.")
    ] = None,
    limit_field: Annotated[
        str, typer.Option(help="What the endpoint calls the limit of new tokens.")
    ] = "max_tokens",
    concurrency: Annotated[int, typer.Option(min=1, help="Requests under way at once.")] = 4,
    store: Annotated[Path, typer.Option(help="Folder of the content-addressed store.")] = Path(
        "results/store"
    ),
    facts: Annotated[Path | None, typer.Option(help="JSON file of facts.")] = None,
) -> None:
    """Ask an OpenAI-compatible endpoint for the completions of a request file.

    Completions in the store are not asked for again.
    """
    from steerability.chat.client import Endpoint
    from steerability.generate.endpoint import run
    from steerability.support.store import Store

    endpoint = Endpoint(url, model, key_env, concurrency)
    run(endpoint, requests, output, Store(store), facts, limit_field=limit_field)
