"""The verb ``judge``."""

from pathlib import Path
from typing import Annotated

import typer

from steerability.jsonl import write_records
from steerability.judge.registry import Options, make_judge
from steerability.judge.run import read_cells, run_judge
from steerability.store import Store


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
    parallel: Annotated[int, typer.Option(min=1, help="Sequences or requests in flight.")] = 8,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: the judge chooses.")] = 0,
    gpu_layers: Annotated[int, typer.Option(min=0, help="llm: layers on the GPU.")] = 0,
    log: Annotated[Path | None, typer.Option(help="Append plain progress lines here.")] = None,
) -> None:
    """Label completions.

    An input line has ``id, category, context, prompt, response``; further fields are not read.
    An output line, in input order, has ``id, label, reason, probabilities, judge, key``.
    """
    items = read_cells(cells)
    chosen = make_judge(
        judge,
        Options(
            definition=definition,
            weights=weights,
            parallel=parallel,
            threads=threads,
            gpu_layers=gpu_layers,
        ),
    )
    labels = run_judge(chosen, items, name=name, store=Store(store) if store else None, log=log)
    write_records(output, labels)
