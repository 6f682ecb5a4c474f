"""The verb ``transcribe``."""

from pathlib import Path
from typing import Annotated

import typer

from steerability.fetch.sources import SourceFolder
from steerability.suites.instrumentaleval import load_instrumentaleval
from steerability.suites.model import Suite
from steerability.support.jsonl import read_record, write_records
from steerability.support.store import Store
from steerability.transcripts import layout
from steerability.transcripts.transcribe import PublishedModel, runs_of, transcribe_model

Folder = Annotated[Path, typer.Option(help="Folder of the fetched sources.")]
Table = Annotated[Path, typer.Option(help="Table of outside files.")]
Suffixes = Annotated[Path, typer.Option(help="Table of the digests of the published suffixes.")]
FOLDER = Path("results/sources")
TABLE = Path("config/sources.csv")
SUFFIXES = Path("workflow/reference/suffixes.csv")


def transcribe(
    model: Annotated[str, typer.Option(help="Name of the model in this run.")],
    published: Annotated[str, typer.Option(help="Its name in the published runs.")],
    size: Annotated[str, typer.Option(help="Its size, as tables print it.")],
    stage: Annotated[str, typer.Option(help="Its training stage, as tables print it.")],
    output: Annotated[Path, typer.Option(help="Completions, one JSON object a line.")],
    labels: Annotated[Path, typer.Option(help="The published labels, one JSON object a line.")],
    suite: Annotated[
        Path | None,
        typer.Option(help="The published suite, as `suite --output` writes it; else its files."),
    ] = None,
    intervention: Annotated[
        list[str] | None, typer.Option(help="pro, none or anti; repeatable; all by default.")
    ] = None,
    judge: Annotated[str, typer.Option(help="Name of the published judge.")] = "published",
    sources: Folder = FOLDER,
    sources_table: Table = TABLE,
    suffixes: Suffixes = SUFFIXES,
    store: Annotated[Path, typer.Option(help="Store of the cells.")] = Path("results/store"),
) -> None:
    """Read the published runs of one model as its completions, with the labels they came with."""
    folder = SourceFolder(sources_table, sources)
    done = transcribe_model(
        PublishedModel(model, published, size, stage),
        runs_of(folder, published, intervention or list(layout.MODES)),
        load_instrumentaleval(folder) if suite is None else read_record(suite, Suite),
        folder,
        suffixes=suffixes,
        judge=judge,
        store=Store(store),
    )
    write_records(output, done.completions)
    write_records(labels, done.labels)
