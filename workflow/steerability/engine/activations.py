"""Activations: the residual stream after every block, at the tokens that directions are made of.

A text is evaluated exactly as it is for generating or scoring, so what is read is what acts there.
Means are made in float64, token after token.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steerability.engine.adapters import NONE, Adapters
from steerability.engine.context import CHUNK, Context, borders
from steerability.engine.one_by_one import OneByOne

Activations = NDArray[np.float64]


@dataclass(frozen=True)
class ReadJob:
    """A text whose activations are wanted.

    Attributes:
        prompt: token ids, at least one; without an answer its last token is read.
        answer: token ids; the mean over them is read. The first is evaluated after the prompt,
            so what is averaged is the stream *at* the answer's tokens.
        adapters: what acts on the model meanwhile.
    """

    prompt: tuple[int, ...]
    answer: tuple[int, ...] = ()
    adapters: Adapters = NONE

    @property
    def longest(self) -> int:
        """Tokens of the prompt with the answer."""
        return len(self.prompt) + len(self.answer)


class Reader(OneByOne[ReadJob, Activations]):
    """Reads jobs on a context that has a tap: float64, a row for each block.

    Args:
        context: where to run.
        blocks: how many the model has.
        share: evaluate shared prefixes once; what is read is the same.
    """

    def __init__(self, context: Context, blocks: int, *, share: bool = True) -> None:
        super().__init__(context, share=share)
        assert context.tap is not None
        self._tap = context.tap
        self._blocks = blocks

    def answer(self, job: ReadJob) -> Activations:
        """Return the activations of one text."""
        self._tap.on = True
        try:
            return self._read(job)
        finally:
            self._tap.on = False
            self._tap.forget()

    def tokens(self, job: ReadJob) -> int:
        """Return the tokens of the prompt with the answer."""
        return job.longest

    def _read(self, job: ReadJob) -> Activations:
        self.prefixes.replace(0, job.prompt)
        if not job.answer:
            ends = [0, *borders(len(job.prompt))]
            last = ends[-1] - ends[-2]
            rows = self._tap.rows(self._blocks, max(last, 2), [last - 1])
            return rows[:, 0].astype(np.float64)
        total: Activations | None = None
        start = len(job.prompt)
        for begin in range(0, len(job.answer), CHUNK):
            chunk = job.answer[begin : begin + CHUNK]
            self.context.rows(0, chunk, start + begin, range(len(chunk)))
            rows = self._tap.rows(self._blocks, max(len(chunk), 2), range(len(chunk)))
            for place in range(len(chunk)):
                row = rows[:, place].astype(np.float64)
                total = row if total is None else total + row
        self.context.forget(0, start)
        assert total is not None
        return total / len(job.answer)
