"""What a run takes from outside and does not have yet, said before anything is fetched."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from steerability.config.model import Config
from steerability.fetch.pins import WeightPin
from steerability.fetch.sources import SourceFolder
from steerability.fetch.weights import on_this_machine
from steerability.inputs.files import wanted_pins
from steerability.inputs.texts import places_of


class WantedWeight(NamedTuple):
    """A weight of a run: its pin, and the file that should be it where there is one."""

    pin: WeightPin
    here: Path | None


def weights_of(config: Config, home: Path) -> list[WantedWeight]:
    """Return the weights that a run's models and judges use; nothing is read through or fetched.

    Args:
        config: the run.
        home: the repository.

    Raises:
        UserError: the weights table has no row for one of them.
    """
    places = places_of(config, home)
    return [WantedWeight(pin, on_this_machine(pin, places)) for pin in wanted_pins(config, home)]


def described(pin: WeightPin) -> str:
    """Return where a weight comes from, and its size where that is known."""
    size = f", {pin.bytes:,} bytes" if pin.bytes else ""
    return f"{pin.repository or pin.file}{size}"


def to_fetch(config: Config, home: Path, sources: SourceFolder, names: Sequence[str]) -> list[str]:
    """Return lines on what a run will fetch; none where it has everything.

    Args:
        config: the run.
        home: the repository.
        sources: the outside files.
        names: those that the run reads.
    """
    lines = [
        f"to fetch: weights {pin.name} from {described(pin)}"
        for pin, here in weights_of(config, home)
        if here is None
    ]
    network = bool(lines)
    absent = [sources.source(name) for name in names if not sources.path(name).is_file()]
    if absent:
        size = sum(source.bytes for source in absent)
        mirror = config.sources.mirror
        lines.append(
            f"to fetch: {len(absent)} pinned files, {size:,} bytes, from "
            f"{mirror or config.sources.base_url}"
        )
        network = network or mirror is None
    if network:
        lines.append(
            "without a network: --config weights_search='[DIR]' names a folder that holds the "
            """weights, sources='{mirror: DIR}' one that holds the files"""
        )
    return lines
