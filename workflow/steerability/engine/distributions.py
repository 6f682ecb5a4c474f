"""The whole distribution of the token after a prompt, for divergences between models."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steerability.engine.adapters import NONE, Adapters
from steerability.engine.one_by_one import OneByOne
from steerability.engine.sampling import greedy

LogProbabilities = NDArray[np.float64]


@dataclass(frozen=True)
class NextJob:
    """A prompt whose next token's distribution is wanted.

    Attributes:
        prompt: token ids, at least one.
        adapters: what acts on the model meanwhile.
    """

    prompt: tuple[int, ...]
    adapters: Adapters = NONE


def log_probabilities(logits: NDArray[np.float32]) -> LogProbabilities:
    """Return the natural log-probability of every token, in float64."""
    shifted = logits.astype(np.float64) - float(logits[greedy(logits)])
    return shifted - float(np.log(np.exp(shifted).sum()))


class NextTokens(OneByOne[NextJob, LogProbabilities]):
    """Evaluates prompts: the log-probability of every token that may follow."""

    def answer(self, job: NextJob) -> LogProbabilities:
        """Return the log-probability of every token after the prompt."""
        return log_probabilities(self.prefixes.replace(0, job.prompt)[0])

    def tokens(self, job: NextJob) -> int:
        """Return the tokens of the prompt."""
        return len(job.prompt)
