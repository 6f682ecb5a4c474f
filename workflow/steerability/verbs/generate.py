"""The verb ``generate``."""

from pathlib import Path
from typing import Annotated

import typer

from steerability.support.errors import UserError
from steerability.support.options import number_or_auto


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
    from steerability.loading.card_lock import claim
    from steerability.support.console import use_log

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


def _is_digest(text: str) -> bool:
    return len(text) == 64 and all(digit in "0123456789abcdef" for digit in text.lower())
