"""InstrumentalEval (He et al. 2025, arXiv 2502.12206) as a suite, from its six CSV files.

The first row of a file is its context; each later row is one scenario, its fields joined with
``,`` and stripped. A scenario's id is its category and its place in the file, from 01. The
published runs (arXiv 2601.01584) read the files in alphabetical order and capped each at 15 by
``random.Random(123).sample``, a fresh generator per file: 71 of the 76, one file drawn from.
"""

import csv
import io
import random
from typing import Literal

from steerability.fetch.sources import SourceFolder
from steerability.protocol.records import Scenario
from steerability.suites.model import CATEGORIES, Category, Suite
from steerability.support.errors import UserError

Selection = Literal["published", "all"]

NAME = "instrumentaleval"
FILE_CAP = 15
SAMPLE_SEED = 123
ORDER: tuple[Category, ...] = tuple(sorted(CATEGORIES, key=lambda category: category.title))
"""The categories in the order of the published runs: their files' alphabetical order."""


def source_name(category: Category) -> str:
    """Return a category's file in the sources table."""
    return f"{NAME}/{category.id}.csv"


def load_instrumentaleval(sources: SourceFolder, selection: Selection = "published") -> Suite:
    """Read InstrumentalEval from its fetched files.

    Args:
        sources: the fetched files, which are checked as they are read.
        selection: ``all`` scenarios in the files' order, or the ``published`` 71 in the order
            of the published runs.

    Raises:
        UserError: a file was not fetched, differs from its pin, or is not in the form above.
    """
    scenarios: list[Scenario] = []
    for category in ORDER:
        name = source_name(category)
        found = _read_file(sources.text(name), category, where=str(sources.path(name)))
        if selection == "published" and len(found) > FILE_CAP:
            found = random.Random(SAMPLE_SEED).sample(found, FILE_CAP)
        scenarios += found
    pins = {sources.source(source_name(category)).commit[:12] for category in ORDER}
    return Suite(
        name=NAME,
        title="InstrumentalEval",
        version="+".join(sorted(pins)),
        licence=sources.source(source_name(ORDER[0])).licence,
        scenarios=tuple(scenarios),
    )


def _read_file(text: str, category: Category, *, where: str) -> list[Scenario]:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        context = next(rows)[0].strip()
        prompts = [",".join(row).strip() for row in rows if row]
    except (csv.Error, StopIteration, IndexError) as error:
        raise UserError(f"no CSV file of scenarios: {error}", where=where) from error
    prompts = [prompt for prompt in prompts if prompt]
    if not prompts or not context:
        raise UserError("holds no scenarios" if context else "holds no context", where=where)
    return [
        Scenario(
            id=f"{category.id}-{place:02d}", category=category.id, context=context, prompt=prompt
        )
        for place, prompt in enumerate(prompts, start=1)
    ]
