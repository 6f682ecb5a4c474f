"""The content key of a generation: all that can change its bytes, and nothing else."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from steerability.engine import context, library
from steerability.engine.adapters import NONE, Adapters

NAME = "steerability-engine"
# Rises with every change of the rules that changes bytes.
VERSION = 1


@dataclass(frozen=True)
class BatchPlan:
    """What decides the batches' shape, where bytes may depend on it (on an accelerator).

    Attributes:
        device: the accelerator's name.
        gpu_layers: layers on it.
        width: rows of every decode step.
    """

    device: str
    gpu_layers: int
    width: int


def engine_identity() -> dict[str, Any]:
    """Return what identifies the engine: versions, build flags and the rules in force."""
    return {
        "name": NAME,
        "version": VERSION,
        "llama_cpp_python": library.version(),
        "build": list(library.build_flags()),
        "environment": dict(library.ENVIRONMENT),
        "chunk": context.CHUNK,
        "flash_attention": context.FLASH,
    }


def generation_key(
    weights_sha256: str,
    prompt: Sequence[int],
    max_tokens: int,
    stop: Iterable[int],
    *,
    sampling: Mapping[str, float] | None = None,
    adapters: Adapters = NONE,
    plan: BatchPlan | None = None,
) -> dict[str, Any]:
    """Return the key under which a generation is stored.

    Args:
        weights_sha256: digest of the GGUF file.
        prompt: token ids as evaluated.
        max_tokens: the request's limit.
        stop: token ids that end the text.
        sampling: None for greedy, else its parameters and seed.
        adapters: they stand in the key only where there are any.
        plan: None on a CPU, where bytes do not depend on the batch.
    """
    key: dict[str, Any] = {
        "kind": "completion",
        "engine": engine_identity(),
        "weights": weights_sha256,
        "prompt": list(prompt),
        "max_tokens": max_tokens,
        "stop": sorted(set(stop)),
    }
    if sampling is not None:
        key["sampling"] = dict(sampling)
    return key | _circumstances(adapters, plan)


def choice_key(
    weights_sha256: str,
    prompt: Sequence[int],
    continuations: Iterable[Sequence[int]],
    *,
    adapters: Adapters = NONE,
    plan: BatchPlan | None = None,
) -> dict[str, Any]:
    """Return the key under which the log-probabilities of continuations are stored.

    Args:
        weights_sha256: digest of the GGUF file.
        prompt: token ids as evaluated.
        continuations: token ids of each.
        adapters: they stand in the key only where there are any.
        plan: None on a CPU, where bytes do not depend on the batch.
    """
    key: dict[str, Any] = {
        "kind": "choice",
        "engine": engine_identity(),
        "weights": weights_sha256,
        "prompt": list(prompt),
        "continuations": [list(tokens) for tokens in continuations],
    }
    return key | _circumstances(adapters, plan)


def _circumstances(adapters: Adapters, plan: BatchPlan | None) -> dict[str, Any]:
    entries: dict[str, Any] = {"adapters": adapters.key()} if adapters else {}
    return entries if plan is None else entries | {"plan": asdict(plan)}
