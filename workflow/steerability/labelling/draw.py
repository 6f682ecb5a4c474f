"""Which cells a person labels: drawn from the responses alone, before any judge is asked.

Half of a model's cells are of the first amplifying intervention, half of the first suppressing
one: those that make Δ. Scenarios are drawn without replacement, and none for both halves as long
as there are enough. Each scenario has the same chance; categories have their shares, by systematic
sampling of scenarios that lie in the order of their categories and in random order within each
(Madow 1949, Annals of Mathematical Statistics 20, 333-354).
"""

import random
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from steerability.labelling.names import blind_name, run_digest
from steerability.protocol.design import Design
from steerability.protocol.request import FILTERED
from steerability.protocol.response import Response
from steerability.support.canonical import sha256_text
from steerability.support.errors import UserError

ItemT = TypeVar("ItemT")


class Drawn(NamedTuple):
    """The cells to label.

    Attributes:
        run: digest of the replies that were drawn from.
        models: whose replies.
        seed: of the draw.
        cells: in the order they are shown.
    """

    run: str
    models: tuple[str, ...]
    seed: int
    cells: tuple[Response, ...]

    @property
    def names(self) -> tuple[tuple[str, str], ...]:
        """Blind names of each cell and of its scenario."""
        return tuple(
            (
                blind_name(self.run, "cell", cell.cell_id),
                blind_name(self.run, "scenario", cell.scenario),
            )
            for cell in self.cells
        )

    @property
    def digest(self) -> str:
        """Names the draw: the same cells in the same order."""
        return sha256_text("".join(f"{cell}\n" for cell, _ in self.names))


def draw(responses: Sequence[Response], design: Design, *, cells: int, seed: int) -> Drawn:
    """Draw cells of every model that responses are of.

    A model's draw depends on its own replies and the seed, not on which other models are drawn.

    Args:
        responses: of one task; all of each model.
        design: the roles of the interventions.
        cells: how many of each model; fewer where it has fewer.
        seed: of the draw.

    Raises:
        UserError: the design has no intervention of one of the two roles, or a model no replies
            under it.
    """
    if not (design.amplify and design.suppress):
        raise UserError(
            "the design names no amplifying or no suppressing intervention",
            where="design",
            mend="give both roles in the config, half of the cells are of each",
        )
    by_model: dict[str, list[Response]] = {}
    for response in responses:
        by_model.setdefault(response.model, []).append(response)
    run = run_digest(responses)
    chosen: list[Response] = []
    for model, own in sorted(by_model.items()):
        drawn = _of_model(own, (design.amplify[0], design.suppress[0]), cells, seed)
        if not drawn:
            raise UserError(
                f"{model} has no scenario with replies under {design.amplify[0]} and "
                f"{design.suppress[0]}",
                where="responses",
                mend="name other models (--model)",
            )
        chosen += drawn
    _random(run, seed).shuffle(chosen)
    return Drawn(run, tuple(sorted(by_model)), seed, tuple(chosen))


def _of_model(
    own: Sequence[Response], arms: tuple[str, str], cells: int, seed: int
) -> list[Response]:
    rng = _random(run_digest(own), seed)
    replies: dict[tuple[str, str], list[Response]] = {}
    categories: dict[str, str] = {}
    for response in own:
        # what an endpoint's filter put there is not the model's own
        if not response.guard and response.finish_reason != FILTERED:
            replies.setdefault((response.scenario, response.intervention), []).append(response)
            categories[response.scenario] = response.category
    both = [name for name in categories if all((name, arm) in replies for arm in arms)]
    halves = _halves(_by_category(both, categories, rng), -(-cells // 2), rng)
    chosen = [
        rng.choice(sorted(replies[scenario, arm], key=lambda one: one.sample))
        for arm, half in zip(arms, halves, strict=True)
        for scenario in half
    ]
    return chosen[:-1] if cells % 2 and len(chosen) > cells else chosen


def _random(run: str, seed: int) -> random.Random:
    return random.Random(int(sha256_text(f"{run}\n{seed}"), 16))


def _by_category(
    scenarios: Iterable[str], categories: dict[str, str], rng: random.Random
) -> list[str]:
    mixed = sorted(scenarios)
    rng.shuffle(mixed)
    return sorted(mixed, key=categories.__getitem__)


def _halves(order: Sequence[str], size: int, rng: random.Random) -> tuple[list[str], list[str]]:
    """Return two samples of a size, with no scenario in both as long as there are enough."""
    size = min(size, len(order))
    if 2 * size <= len(order):
        chosen = systematic(order, 2 * size, rng)
        first = rng.randrange(2)
        return chosen[first::2], chosen[1 - first :: 2]
    one = systematic(order, size, rng)
    rest = [name for name in order if name not in set(one)]
    return one, rest + systematic(one, size - len(rest), rng)


def systematic(items: Sequence[ItemT], size: int, rng: random.Random) -> list[ItemT]:
    """Return a systematic sample: each item with the chance size / items, exactly.

    Args:
        items: in an order that puts like ones beside each other.
        size: at most the number of items.
        rng: draws the start.
    """
    if not size:
        return []
    start = rng.randrange(len(items))
    return [items[(step * len(items) + start) // size] for step in range(size)]
