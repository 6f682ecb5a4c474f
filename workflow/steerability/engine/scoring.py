"""Log-likelihoods of given continuations, without decoding.

One evaluation per prompt after the prefix that it shares with the prompt before it; the first
token of every continuation is read off the prompt's last row, and only continuations of several
tokens evaluate anything more.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steerability.engine.adapters import NONE, Adapters
from steerability.engine.context import CHUNK
from steerability.engine.one_by_one import OneByOne
from steerability.engine.sampling import greedy

# Beyond this the last bits of exp and log differ between CPUs.
_DECIMALS = 6


@dataclass(frozen=True)
class ScoreJob:
    """A prompt and the texts that may follow it.

    Attributes:
        prompt: token ids, at least one.
        continuations: token ids of each, at least one token.
        adapters: what acts on the model from the prompt's first token on.
    """

    prompt: tuple[int, ...]
    continuations: tuple[tuple[int, ...], ...]
    adapters: Adapters = NONE

    @property
    def longest(self) -> int:
        """Tokens of the prompt with its longest continuation."""
        return len(self.prompt) + max(map(len, self.continuations), default=0)


Scores = tuple[tuple[float, ...], ...]


def log_probability(logits: NDArray[np.float32], token: int) -> float:
    """Return a token's natural log-probability, rounded to six decimals."""
    best = float(logits[greedy(logits)])
    shifted = logits.astype(np.float64) - best
    total = float(np.log(np.exp(shifted).sum()))
    return round(float(shifted[token]) - total, _DECIMALS)


class Scorer(OneByOne[ScoreJob, Scores]):
    """Scores jobs: log-probabilities per continuation and token."""

    def answer(self, job: ScoreJob) -> Scores:
        """Return the log-probability of each token of each continuation."""
        first = self.prefixes.replace(0, job.prompt)[0].copy()
        return tuple(self._continue(job, tokens, first) for tokens in job.continuations)

    def tokens(self, job: ScoreJob) -> int:
        """Return the tokens of the prompt."""
        return len(job.prompt)

    def _continue(
        self, job: ScoreJob, tokens: tuple[int, ...], first: NDArray[np.float32]
    ) -> tuple[float, ...]:
        scores = [log_probability(first, tokens[0])]
        start = len(job.prompt)
        for begin in range(0, len(tokens) - 1, CHUNK):
            chunk = tokens[begin : min(begin + CHUNK, len(tokens) - 1)]
            rows = self.context.rows(0, chunk, start + begin, range(len(chunk)))
            wanted = tokens[begin + 1 : begin + 1 + len(chunk)]
            scores += [log_probability(row, token) for row, token in zip(rows, wanted, strict=True)]
        if len(tokens) > 1:
            self.context.forget(0, start)
        return tuple(scores)
