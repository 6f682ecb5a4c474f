"""A deterministic batch engine over llama.cpp's low-level interface.

It knows nothing of scenarios, judges or files of results: token ids go in, token ids or
log-likelihoods come out, and they depend on the weights and the request alone. How and why:
``docs/engine.md``.
"""

from steerability.engine.decoding import Generation, Job
from steerability.engine.engine import Engine, default_threads
from steerability.engine.errors import EngineError, InputError, PromptError, WeightsError
from steerability.engine.key import BatchPlan, engine_identity, generation_key
from steerability.engine.sampling import Sampling
from steerability.engine.scoring import ScoreJob, Scores

__all__ = [
    "BatchPlan",
    "Engine",
    "EngineError",
    "Generation",
    "InputError",
    "Job",
    "PromptError",
    "Sampling",
    "ScoreJob",
    "Scores",
    "WeightsError",
    "default_threads",
    "engine_identity",
    "generation_key",
]
