"""The verb ``judge``."""

from pathlib import Path
from typing import Annotated

import typer

from steerability.judges.run import read_cells, run_judge
from steerability.judging.registry import Options, make_judge
from steerability.loading.card_lock import claim
from steerability.support.jsonl import write_records
from steerability.support.options import number_or_auto
from steerability.support.store import Store


def judge(
    judge: Annotated[str, typer.Option(help="rules, llm, distilled or api.")],
    cells: Annotated[Path, typer.Option(help="Completions, one JSON object a line.")],
    output: Annotated[Path, typer.Option(help="Labels, one JSON object a line.")],
    name: Annotated[
        str | None, typer.Option(help="What the labels call the judge; by default its kind.")
    ] = None,
    store: Annotated[Path | None, typer.Option(help="Keep and look up labels here.")] = None,
    definition: Annotated[
        Path | None, typer.Option(help="The judge's definition file; built-in by default.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="llm: a GGUF file; distilled: a trained file.")
    ] = None,
    held_out: Annotated[
        Path | None,
        typer.Option(help="distilled: labels of its training cells by models without them."),
    ] = None,
    url: Annotated[str | None, typer.Option(help="api: base address, up to /v1.")] = None,
    model: Annotated[str | None, typer.Option(help="api: the pinned model's name.")] = None,
    key_env: Annotated[
        str | None, typer.Option(help="api: environment variable that holds the key.")
    ] = None,
    prompt_price: Annotated[
        float | None, typer.Option(min=0, help="api: price of a million prompt tokens.")
    ] = None,
    completion_price: Annotated[
        float | None, typer.Option(min=0, help="api: price of a million completion tokens.")
    ] = None,
    parallel: Annotated[int, typer.Option(min=1, help="api: requests under way at once.")] = 4,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; default: all.")] = None,
    gpu_layers: Annotated[
        str, typer.Option(help="llm: layers on an accelerator; auto: all where there is one.")
    ] = "0",
    blind: Annotated[
        bool, typer.Option("--blind", help="Show the prompt without the intervention's text.")
    ] = False,
    log: Annotated[Path | None, typer.Option(help="File that gets plain progress lines.")] = None,
) -> None:
    """Label completions.

    An input line has ``id, category, context, prompt, response``; of further fields
    only a ``finish_reason`` of ``content_filter`` counts.
    An output line, in input order, has ``id, label, reason, probabilities, judge, key``.
    """
    items = read_cells(cells, blind=blind)
    layers = number_or_auto(gpu_layers, least=0, where="--gpu-layers")
    if layers != 0 and judge == "llm" and store is not None:
        claim(store / "cards")
    chosen = make_judge(
        judge,
        Options(
            definition=definition,
            weights=weights,
            held_out=held_out,
            url=url,
            model=model,
            key_env=key_env,
            prompt_price=prompt_price,
            completion_price=completion_price,
            parallel=parallel,
            threads=threads,
            gpu_layers=layers,
        ),
    )
    labels = run_judge(chosen, items, name=name, store=Store(store) if store else None, log=log)
    write_records(output, labels)
