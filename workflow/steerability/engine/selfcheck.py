"""Is a row of a decode step the same alone and in company? Asked of these weights, here and now.

llama.cpp chooses kernels by the number of rows, and a new version may bring another one. So
before a width is trusted, two probe sequences take one step each, alone and on one thread, and
then in every slot of steps of several widths, side by side, on all threads; logits are compared
bit by bit. Slots are refilled and drained, so a width is safe only if all below it are.
"""

import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from steerability.engine.context import Context
from steerability.engine.errors import WeightsError

BUDGET_SECONDS = 1.5
# The probes reach beyond the first block of 256 KV cells where there is time for it: flash
# attention has other ways with 512 cells and more. Each ends in tokens of its own.
_LONG, _OWN = 264, 12


@dataclass(frozen=True)
class SelfCheck:
    """The outcome.

    Attributes:
        width: the widest step that may be used: the width asked for, unless logits differed.
        asked: the width asked for.
        checked: widths compared, as many as there was time for.
        differs: widths at which some logit differed.
        probe_tokens: length of the probes.
        seconds: time taken.
    """

    width: int
    asked: int
    checked: tuple[int, ...]
    differs: tuple[int, ...]
    probe_tokens: int
    seconds: float

    def facts(self) -> dict[str, Any]:
        """Return the outcome as JSON."""
        facts = asdict(self)
        return {**facts, "checked": list(self.checked), "differs": list(self.differs)}


def check_sound(context: Context) -> None:
    """Check that the model is one that the engine runs, by what llama.cpp says and by a step.

    Args:
        context: a fresh context; left empty.

    Raises:
        WeightsError: attention sees what follows, the model pools, or a logit is no finite number.
    """
    if not context.causal:
        raise WeightsError(
            "the model's attention is not causal; the engine runs decoder-only transformers",
            "name other weights",
        )
    if context.pools:
        raise WeightsError(
            "the model pools its tokens to one vector; the engine runs decoder-only transformers",
            "name other weights",
        )
    tokens = _random(0, 2, context.vocabulary_size)
    logits = context.rows(0, tokens, 0, [0, 1])
    sound = bool(np.isfinite(logits).all())
    context.clear()
    if not sound:
        raise WeightsError(
            "the weights give logits that are no finite numbers (NaN or infinity)",
            "name other weights",
        )


def widths_to_check(width: int) -> list[int]:
    """Return the widths from 2 to ``width``, those where kernels are known to change first."""
    edges = [n for n in (width, 2, 4, 8, 16, 3, 5, 7, 9, 17, 32, 64) if 2 <= n <= width]
    return list(dict.fromkeys([*edges, *range(2, width + 1)]))


def self_check(context: Context, budget: float = BUDGET_SECONDS) -> SelfCheck:
    """Compare rows alone and in company, and leave the context empty.

    Args:
        context: a fresh context.
        budget: seconds after which no further width is begun.
    """
    started = time.monotonic()
    asked = context.layout.width
    if asked == 1:
        return SelfCheck(1, 1, (), (), 0, 0.0)
    common = _common_beginning(context, budget)
    length = len(common) + _OWN
    probes = [[*common, *_random(seed, _OWN + 1, context.vocabulary_size)] for seed in (1, 2)]
    beginning = context.save(0)
    alone, states = [], []
    for probe in probes:
        context.restore(0, beginning)
        context.rows(0, probe[len(common) : length], len(common))
        states.append(context.save(0))
        context.use_threads(1)
        alone.append(context.step([probe[length]], [length])[0].copy())
        context.use_threads(context.layout.threads)

    width = asked
    checked: list[int] = []
    differs: list[int] = []
    for rows in widths_to_check(asked):
        if rows > width:
            continue
        if checked and time.monotonic() - started > budget and width in (asked, *checked):
            break
        for slot in range(rows):
            context.restore(slot, states[slot % 2])
        logits = context.step([probes[slot % 2][length] for slot in range(rows)], [length] * rows)
        checked.append(rows)
        if any(
            not np.array_equal(logits[slot].view(np.uint32), alone[slot % 2].view(np.uint32))
            for slot in range(rows)
        ):
            differs.append(rows)
            width = min(width, rows - 1)
    context.clear()
    return SelfCheck(
        width,
        asked,
        tuple(sorted(checked)),
        tuple(sorted(differs)),
        length,
        round(time.monotonic() - started, 3),
    )


def _common_beginning(context: Context, budget: float) -> list[int]:
    """Leave in slot 0, and return, what both probes begin with: long if there is time for it."""
    begun = time.monotonic()
    short = _random(0, _OWN, context.vocabulary_size)
    context.rows(0, short, 0)
    slow = (time.monotonic() - begun) * _LONG / _OWN > budget / 2
    if slow or context.layout.cells < _LONG + _OWN + 2:
        return short
    tokens = _random(0, _LONG, context.vocabulary_size)
    context.forget(0)
    context.prompt(0, tokens)
    return tokens


def _random(seed: int, count: int, vocabulary_size: int) -> list[int]:
    generator = np.random.Generator(np.random.Philox(key=seed))
    return [int(token) for token in generator.integers(0, vocabulary_size, count)]
