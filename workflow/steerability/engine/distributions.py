"""The whole distribution of the token after a prompt, for divergences between models."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steerability.engine.adapters import NONE, Adapters
from steerability.engine.context import Context
from steerability.engine.lanes import Plan
from steerability.engine.prefixes import Prefixes
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


class NextTokens:
    """Evaluates prompts one after the other on slot 0 of a context.

    Args:
        context: where to run.
        share: evaluate shared prefixes once; the distributions are the same.
    """

    def __init__(self, context: Context, *, share: bool = True) -> None:
        self.prefixes = Prefixes(context, share=share)

    def run(
        self,
        jobs: Sequence[NextJob],
        plan: Plan,
        lane: int = 0,
        progress: Callable[[int], None] = lambda tokens: None,
    ) -> Iterator[tuple[int, LogProbabilities]]:
        """Evaluate a lane's jobs.

        Args:
            jobs: all jobs.
            plan: which of them, and in which order.
            lane: the lane.
            progress: called with the number of tokens evaluated or copied, for every job.

        Yields:
            ``(index, log-probability of every token)``.
        """
        while taken := plan.take(lane):
            job = jobs[taken[0]]
            found = log_probabilities(self.prefixes.replace(0, job.prompt)[0])
            progress(len(job.prompt))
            yield taken[0], found
