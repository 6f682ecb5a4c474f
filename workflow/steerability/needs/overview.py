"""What a run will ask for, before anything is fetched or generated."""

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from steerability.config.load import load_config
from steerability.config.model import Config
from steerability.fetch.download import fetch_sources
from steerability.fetch.sources import SourceFolder
from steerability.inputs.outside import described, weights_of
from steerability.inputs.texts import (
    home_of,
    read_interventions,
    read_suite,
    wanted_sources,
)
from steerability.plan.requests import plan_requests
from steerability.protocol.records import Intervention
from steerability.suites.model import Suite
from steerability.support.errors import UserError


class ModelPlan(NamedTuple):
    """One model's part of a run.

    Attributes:
        name: the model.
        size: as tables print it.
        stage: as tables print it.
        cells: cells by intervention.
        new_tokens: most tokens that can be generated.
        prompt_bytes: UTF-8 bytes of all messages; no token of theirs is shorter than a byte.
    """

    name: str
    size: str
    stage: str
    cells: dict[str, int]
    new_tokens: int
    prompt_bytes: int


def plan_models(
    config: Config, suite: Suite, interventions: Sequence[Intervention]
) -> list[ModelPlan]:
    """Count the cells of a run and the tokens they need at most, model by model.

    Args:
        config: the run.
        suite: its scenarios.
        interventions: its interventions, in order.
    """
    plans = []
    for name in config.models:
        entry = config.catalogue.models[name]
        requests = list(
            plan_requests(
                name,
                entry,
                suite,
                interventions,
                max_tokens=config.max_tokens,
                send_context=config.context == "sent",
            )
        )
        texts = [
            request.prompt or "".join(message.content for message in request.messages or ())
            for request in requests
        ]
        plans.append(
            ModelPlan(
                name,
                entry.size,
                entry.stage,
                dict(Counter(request.cell.intervention for request in requests)),
                sum(request.max_tokens for request in requests),
                sum(len(text.encode("utf-8")) for text in texts),
            )
        )
    return plans


def overview_lines(
    config: Config, suite: Suite, interventions: Sequence[Intervention]
) -> list[str]:
    """Return the overview as a plain table: cells by model and intervention, tokens at most."""
    plans = plan_models(config, suite, interventions)
    names = [item.name for item in interventions]
    rows = [["model", "size", "stage", *names, "cells", "new tokens, at most", "prompt bytes"]]
    for plan in plans:
        counts = [plan.cells.get(name, 0) for name in names]
        numbers = [*counts, sum(counts), plan.new_tokens, plan.prompt_bytes]
        rows.append([plan.name, plan.size, plan.stage, *(f"{number:,}" for number in numbers)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [f"run {config.run}: suite {suite.name}, {len(suite.scenarios)} scenarios"]
    for row in rows:
        cells = [
            text.ljust(width) if column < 3 else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    cells_in_all = sum(sum(plan.cells.values()) for plan in plans)
    new = sum(plan.new_tokens for plan in plans)
    prompt = sum(plan.prompt_bytes for plan in plans)
    lines.append(f"{cells_in_all:,} cells")
    lines.append(
        f"at most {new:,} new tokens, and {prompt:,} prompt tokens besides the templates' own "
        "(one per byte; English text has four to five bytes a token)"
    )
    return lines


def weight_lines(config: Config, home: Path) -> list[str]:
    """Return one line per weight that a run's models and judges use: where it is or comes from.

    Args:
        config: the run.
        home: the repository.

    Raises:
        UserError: the weights table has no row for one of them.
    """
    return [
        f"weights {pin.name}: " + (f"here, {here}" if here else f"to fetch from {described(pin)}")
        for pin, here in weights_of(config, home)
    ]


def show(configfiles: list[Path], mirror: Path | None) -> None:
    """Print what a config asks for.

    Args:
        configfiles: laid over each other in order; paths in them are relative to the first.
        mirror: folder of the published files; None for those fetched already, or their URLs.

    Raises:
        UserError: the config is wrong, or what the suite is made from cannot be had here.
    """
    config = load_config(configfiles)
    home = home_of(configfiles)
    mirror = mirror or (Path(config.sources.mirror) if config.sources.mirror else None)
    for line in weight_lines(config, home):
        print(line)
    sources = SourceFolder(home / config.sources.index, Path(config.sources.folder))
    names = wanted_sources(config, sources, mirror)
    absent = [name for name in names if not sources.path(name).is_file()]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        if absent:
            sources = SourceFolder(sources.table, Path(folder))
            try:
                wanted = [sources.source(name) for name in names]
                fetch_sources(sources, wanted, mirror, config.sources.base_url, lambda _: None)
            except OSError as error:
                for name in names:
                    source = sources.source(name)
                    print(f"file {name}: to fetch, {source.bytes:,} bytes, {source.repository}")
                raise UserError(
                    f"the suite {config.suite} is made from {len(names)} outside files, of which "
                    f"{len(absent)} are not here and cannot be fetched ({error})",
                    where=configfiles[-1],
                    mend="name a mirror that holds them (--mirror DIR), or connect to the network",
                ) from error
        suite = read_suite(config, sources, home)
        interventions = read_interventions(config, sources, home)
    for line in overview_lines(config, suite, interventions):
        print(line)
