"""A deterministic batch engine over llama.cpp's low-level interface.

It knows nothing of scenarios, judges or files of results: token ids go in, token ids or
log-likelihoods come out, and they depend on the weights and the request alone. How and why:
``docs/engine.md``.
"""

from steerability.engine.activations import Activations, ReadJob
from steerability.engine.adapters import NONE, Adapter, Adapters
from steerability.engine.decoding import Generation, Job
from steerability.engine.distributions import NextJob
from steerability.engine.engine import Engine, default_threads
from steerability.engine.errors import (
    AdapterError,
    EngineError,
    InputError,
    PromptError,
    WeightsError,
)
from steerability.engine.key import BatchPlan, choice_key, engine_identity, generation_key
from steerability.engine.sampling import Sampling
from steerability.engine.scoring import ScoreJob, Scores

__all__ = [
    "NONE",
    "Activations",
    "Adapter",
    "AdapterError",
    "Adapters",
    "BatchPlan",
    "Engine",
    "EngineError",
    "Generation",
    "InputError",
    "Job",
    "NextJob",
    "PromptError",
    "ReadJob",
    "Sampling",
    "ScoreJob",
    "Scores",
    "WeightsError",
    "choice_key",
    "default_threads",
    "engine_identity",
    "generation_key",
]
