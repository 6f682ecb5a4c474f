"""The verb ``suite``."""

from pathlib import Path
from typing import Annotated

import typer
import yaml

from steerability.fetch.sources import SourceFolder
from steerability.suites.instrumentaleval import Selection, load_instrumentaleval
from steerability.suites.likeness import NEAR_DUPLICATE, nearest_pair
from steerability.suites.load import load_suite
from steerability.suites.model import Suite, suite_schema
from steerability.support.errors import UserError
from steerability.support.jsonl import write_records

SCHEMA_HEADER = (
    "# Form of a suite file, printed from steerability.suites.model by\n"
    "# steerability suite --schema > workflow/schemas/suite.schema.yaml\n"
)
COLUMNS = ("scenarios", "answers", "twins", "twins' answers", "learn", "test")


def suite(
    file: Annotated[Path | None, typer.Argument(help="A suite, such as suite.yaml.")] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of suite files instead.")
    ] = False,
    instrumentaleval: Annotated[
        Selection | None,
        typer.Option(help="Read InstrumentalEval from its fetched files instead."),
    ] = None,
    sources: Annotated[Path, typer.Option(help="Folder of the fetched sources.")] = Path(
        "results/sources"
    ),
    sources_table: Annotated[Path, typer.Option(help="Table of outside files.")] = Path(
        "config/sources.csv"
    ),
    per_category: Annotated[
        int | None, typer.Option(min=1, help="Take the first so many scenarios of each category.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write the checked suite, as one JSON object, here.")
    ] = None,
) -> None:
    """Check a suite of scenarios: form, categories, repeated ids, prompts that are too alike.

    Prints what each category holds (scenarios, answers, twins, splits), the two most alike
    prompts and the suite's digest.
    """
    if schema:
        print(schema_text(), end="")
        return
    if file is None and instrumentaleval is None:
        raise UserError("no suite was named", mend="give the path of a suite file")
    if file is not None:
        checked = load_suite(file)
    else:
        folder = SourceFolder(sources_table, sources)
        checked = load_instrumentaleval(folder, instrumentaleval or "published")
    checked = checked.pilot(per_category)
    if output is not None:
        write_records(output, [checked])
    print(describe(checked))


def schema_text() -> str:
    """Return the text of ``workflow/schemas/suite.schema.yaml``."""
    body = yaml.safe_dump(suite_schema(), sort_keys=False, allow_unicode=True, width=96)
    return SCHEMA_HEADER + body


def describe(checked: Suite) -> str:
    """Return what the verb prints about a suite, one fact to a line."""
    title = f"{checked.name} {checked.version}: {len(checked.scenarios)} scenarios"
    lines = [f"{title}, licence {checked.licence or 'none'}"]
    width = max(len(category.id) for category in checked.categories)
    rows: list[tuple[str, ...]] = [("", *COLUMNS)]
    for category in checked.categories:
        rows.append((category.id, *map(str, _held(checked, category.id))))
    rows.append(("all", *map(str, _held(checked, None))))
    lines += [
        f"  {name:<{width}}"
        + "".join(f"  {value:>{len(top)}}" for top, value in zip(COLUMNS, values, strict=True))
        for name, *values in rows
    ]
    lines.append(f"split seed: {checked.split_seed}")
    pair = nearest_pair(checked.scenarios)
    lines.append(
        "nearest pair: none shares three words in a row"
        if pair is None
        else f"nearest pair: {pair.first}, {pair.second}, likeness {pair.likeness:.3f} "
        f"(refused from {NEAR_DUPLICATE})"
    )
    lines.append(f"digest: {checked.digest}")
    return "\n".join(lines)


def _held(checked: Suite, category: str | None) -> tuple[int, ...]:
    """Return one number for each of ``COLUMNS``, of a category or, for None, of all."""
    held = [one for one in checked.scenarios if category in (None, one.category)]
    splits = [checked.split_of(one) for one in held]
    twins = [one.twin for one in held if one.twin is not None]
    return (
        len(held),
        sum(one.answers is not None for one in held),
        len(twins),
        sum(twin.answers is not None for twin in twins),
        splits.count("learn"),
        splits.count("test"),
    )
