"""The verbs ``generate`` and ``assemble``."""

from pathlib import Path
from typing import Annotated

import typer

from steerability.errors import UserError
from steerability.options import number_or_auto


def generate(
    weights: Annotated[Path, typer.Option(help="GGUF file.")],
    requests: Annotated[Path, typer.Option(help="Requests, one JSON object a line.")],
    output: Annotated[Path, typer.Option(help="Where the output lines go, in request order.")],
    parallel: Annotated[
        str, typer.Option(help="Sequences at a time; auto: what the memory holds.")
    ] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; default: all.")] = None,
    gpu_layers: Annotated[
        str, typer.Option(help="Layers on an accelerator; auto: all where there is one.")
    ] = "0",
    store: Annotated[Path, typer.Option(help="Folder of the content-addressed store.")] = Path(
        "results/store"
    ),
    weights_sha256: Annotated[
        str | None, typer.Option(help="Digest the weights must have.")
    ] = None,
    log: Annotated[Path | None, typer.Option(help="File that gets plain progress lines.")] = None,
    facts: Annotated[
        Path | None, typer.Option(help="JSON file of facts: width, speed, self-check, build.")
    ] = None,
) -> None:
    """Generate the completions of a request file, each under its key in the store.

    A request may put adapters on the model, and ask for the log-probabilities of given answers
    in place of a completion.

    Completions in the store are not made again. Bytes depend on weights and request alone, not
    on --parallel, --threads, the order of the requests, or what was interrupted.
    """
    from steerability.cards import claim
    from steerability.console import use_log

    if log is not None:
        use_log(log)
    layers = number_or_auto(gpu_layers, least=0, where="--gpu-layers")
    if layers != 0:
        claim(store / "cards")
    from steerability.generate.run import Settings, run

    if weights_sha256 is not None and not _is_digest(weights_sha256):
        raise UserError("is no SHA-256", where="--weights-sha256", mend="give 64 hex digits")
    run(
        Settings(
            weights=weights,
            requests=requests,
            output=output,
            store=store,
            parallel=number_or_auto(parallel, least=1, where="--parallel"),
            threads=threads,
            gpu_layers=layers,
            weights_sha256=weights_sha256.lower() if weights_sha256 else None,
            facts=facts,
        )
    )


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
    from steerability.store import Store

    endpoint = Endpoint(url, model, key_env, concurrency)
    run(endpoint, requests, output, Store(store), facts, limit_field=limit_field)


def assemble(
    requests: Annotated[list[Path], typer.Option(help="A shard of the plan; repeat for each.")],
    outputs: Annotated[list[Path], typer.Option(help="A shard's outputs; repeat for each.")],
    suite: Annotated[Path, typer.Option(help="The suite that the plan was made from.")],
    interventions: Annotated[Path, typer.Option(help="The interventions that it was made from.")],
    output: Annotated[Path, typer.Option(help="Where the model's completions go.")],
) -> None:
    """Join a model's requests and outputs to completions, in the order of suite and config."""
    from steerability.generate.assemble import join
    from steerability.jsonl import read_record, read_records, write_records
    from steerability.records import Intervention
    from steerability.suites.model import Suite

    scenarios = [scenario.id for scenario in read_record(suite, Suite).scenarios]
    names = [entry.name for entry in read_records(interventions, Intervention)]
    rows = join(requests, outputs, scenarios, names)
    write_records(output, rows)
    print(f"assemble: {len(rows):,} completions in {output}")


def _is_digest(text: str) -> bool:
    return len(text) == 64 and all(digit in "0123456789abcdef" for digit in text.lower())
