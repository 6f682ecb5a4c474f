"""The verb ``page``."""

from pathlib import Path
from typing import Annotated

import typer

from steerability.config.read_study import SPEC_HELP, read_study
from steerability.config.study import Study
from steerability.report.page.build import render
from steerability.report.page.collect import collect
from steerability.report.page.statistics import FILES
from steerability.support.files import write_atomic
from steerability.support.jsonl import read_record

PAGE = "index.html"
STUDY = "study.json"


def page(
    folder: Annotated[Path, typer.Argument(help="the run's folder")],
    run: Annotated[str | None, typer.Option(help="the run's name; by default the folder's")] = None,
    spec: Annotated[
        str | None, typer.Option(help=f"{SPEC_HELP} By default the run's {STUDY}.")
    ] = None,
) -> None:
    """Write ``index.html``: the run as one page that opens from disk without a network."""
    study = read_study(spec) if spec is not None else read_record(folder / STUDY, Study)
    name = run or folder.resolve().name
    shown = collect(folder, name=name, study=study, extra=FILES)
    content = b"".join(part.encode("utf-8") for part in render(shown))
    write_atomic(folder / PAGE, content)
    size = len(content) / 2**20
    print(f"page: {len(shown.cells):,} outputs, {size:.1f} MiB, {folder / PAGE}")
