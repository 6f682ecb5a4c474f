"""Choosing the next token from logits.

Greedy takes the largest logit, the lowest id among equals. Sampling draws one number per token
from a Philox stream that is keyed by the request alone, so that a text does not depend on the
slot, the order or the company in which it was made.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steerability.engine.errors import EngineError

Choose = Callable[[NDArray[np.float32]], int]


@dataclass(frozen=True)
class Sampling:
    """Temperature sampling with the usual filters.

    Attributes:
        temperature: above 0.
        top_p: keep the smallest set of tokens whose probability reaches this; 1 keeps all.
        top_k: keep this many tokens; 0 keeps all.
        stream: 32 hex digits or more that name the random stream.
    """

    temperature: float
    top_p: float = 1.0
    top_k: int = 0
    stream: str = "0" * 32


def greedy(logits: NDArray[np.float32]) -> int:
    """Return the id of the largest logit."""
    token = int(logits.argmax())
    if logits[token] != logits[token]:
        raise EngineError("the model produced logits that are no numbers (NaN)")
    return token


def chooser(sampling: Sampling | None) -> Choose:
    """Return the function that picks a request's tokens, one call per token.

    Args:
        sampling: None for greedy.
    """
    if sampling is None:
        return greedy
    stream = np.random.Generator(np.random.Philox(key=int(sampling.stream[:32], 16)))

    def sample(logits: NDArray[np.float32]) -> int:
        best = greedy(logits)
        # by falling logit, the lowest id first among equals
        order = np.argsort(-logits, kind="stable")
        if sampling.top_k:
            order = order[: sampling.top_k]
        scaled = (logits[order].astype(np.float64) - float(logits[best])) / sampling.temperature
        mass = np.cumsum(np.exp(scaled))
        kept = int(np.searchsorted(mass, sampling.top_p * mass[-1])) + 1
        mass = mass[:kept]
        drawn = stream.random() * mass[-1]
        place = int(np.searchsorted(mass, drawn, side="right"))
        return int(order[min(place, len(mass) - 1)])

    return sample
