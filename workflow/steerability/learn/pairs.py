"""Contrast pairs: two texts that differ in what a direction is to hold."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
from pydantic import Field, model_validator

from steerability.engine import Engine, PromptError, ReadJob
from steerability.learn.ordered import Array
from steerability.protocol.base import Record
from steerability.protocol.conversation import Message
from steerability.support.console import Progress
from steerability.support.errors import UserError
from steerability.support.jsonl import read_records


class Side(Record):
    """One text of a pair.

    Attributes:
        messages: chat messages, rendered with the weights' own template.
        prompt: plain text in their place.
        answer: what follows, as plain text; the mean over its tokens is read. Without it the last
            token of the prompt is read.
    """

    messages: tuple[Message, ...] | None = None
    prompt: str | None = None
    answer: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _one_kind_of_prompt(self) -> "Side":
        if (self.messages is None) == (self.prompt is None):
            raise ValueError("give either messages or prompt")
        if not (self.messages or self.prompt):
            raise ValueError("the prompt is empty")
        return self


class Pair(Record):
    """A line of a file of pairs; directions lead from ``b`` to ``a``."""

    id: str = Field(min_length=1)
    a: Side
    b: Side

    @model_validator(mode="after")
    def _read_alike(self) -> "Pair":
        if (self.a.answer is None) != (self.b.answer is None):
            raise ValueError("both sides have an answer, or none has")
        return self


def read_pairs(path: Path, least: int) -> list[Pair]:
    """Read a file of pairs.

    Args:
        path: JSON lines.
        least: how many there must be.

    Raises:
        UserError: a line is no pair, an id comes twice, or there are too few.
    """
    pairs = list(read_records(path, Pair))
    seen: set[str] = set()
    for pair in pairs:
        if pair.id in seen:
            raise UserError(f"pair id {pair.id} comes twice", where=path, mend="ids must be unique")
        seen.add(pair.id)
    if len(pairs) < least:
        raise UserError(f"holds {len(pairs)} pairs, {least} are needed", where=path)
    return pairs


def activations(pairs: Sequence[Pair], engine: Engine, where: Path) -> tuple[Array, Array]:
    """Read what every block puts out at both sides of all pairs.

    Args:
        pairs: in any order.
        engine: the model.
        where: the file of pairs, for messages.

    Returns:
        The first and the second sides: float64, pairs × blocks × width.

    Raises:
        UserError: a text cannot be rendered or does not fit the context window.
    """
    jobs = [_job(side, engine, f"{where} pair {pair.id}") for pair in pairs for side in _both(pair)]
    found: list[Array | None] = [None] * len(jobs)
    progress = Progress("direction", len(jobs))
    with progress:
        for index, rows in engine.read(jobs, progress.tick):
            found[index] = rows
            progress.advance()
    stacked = np.stack(cast(list[Array], found))
    return stacked[0::2], stacked[1::2]


def _both(pair: Pair) -> tuple[Side, Side]:
    return pair.a, pair.b


def _job(side: Side, engine: Engine, where: str) -> ReadJob:
    try:
        if side.messages is not None:
            prompt = engine.chat([{"role": m.role, "content": m.content} for m in side.messages])
        else:
            prompt = engine.plain(side.prompt or "")
        answer = engine.vocabulary.tokenize(side.answer) if side.answer else []
        engine.check(prompt)
        engine.check((*prompt, *answer))
    except PromptError as error:
        raise UserError(error.what, where=where, mend=error.mend) from error
    return ReadJob(prompt, tuple(answer))
