"""The layer whose direction moves choices most while benign prompts stay as they were.

After Arditi et al. (2024): of the layers below 0.8 of the depth, each by itself, the one with the
largest effect among those whose divergence on benign prompts is at most 0.1 nats. Effect: half
the mean difference, between strength and its negative, of the log-odds of the first answer over
the second, on choices that the direction was not learnt from. Divergence: Kullback and Leibler's
of the next token, the unsteered model to the steered one, at the strength and at its negative,
whichever is larger.
"""

import math
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, model_validator

from steerability.engine import (
    NONE,
    Adapter,
    Adapters,
    Engine,
    NextJob,
    PromptError,
    ScoreJob,
)
from steerability.engine.distributions import LogProbabilities
from steerability.learn.ordered import Array
from steerability.learn.vector_file import write_vector
from steerability.protocol.base import Record
from steerability.protocol.conversation import Message
from steerability.support.errors import UserError
from steerability.support.jsonl import read_records

DEEPEST = 0.8


class Prompt(Record):
    """A line of a file of benign prompts: chat messages, or plain text in their place."""

    id: str = Field(min_length=1)
    messages: tuple[Message, ...] | None = None
    prompt: str | None = None

    @model_validator(mode="after")
    def _one_kind_of_prompt(self) -> "Prompt":
        if (self.messages is None) == (self.prompt is None):
            raise ValueError("give either messages or prompt")
        return self

    def tokens(
        self, engine: Engine, where: Path, *, close_thought: bool = False
    ) -> tuple[int, ...]:
        """Return its token ids; an answer may follow where an opened thought was closed.

        Raises:
            UserError: it cannot be rendered or does not fit the context window.
        """
        try:
            if self.messages is None:
                found = engine.plain(self.prompt or "")
            else:
                messages = [message.model_dump() for message in self.messages]
                found = engine.chat(messages, close_thought=close_thought)
            engine.check(found)
        except PromptError as error:
            raise UserError(
                error.what, where=f"{where} prompt {self.id}", mend=error.mend
            ) from error
        return found


class Choice(Prompt):
    """A line of a file of choices; the direction should favour the first answer."""

    answers: tuple[str, str]

    def job(self, engine: Engine, where: Path) -> ScoreJob:
        """Return the scoring of its answers, which follow the prompt as plain text.

        Raises:
            UserError: it cannot be rendered or scored.
        """
        name = f"{where} prompt {self.id}"
        prompt = self.tokens(engine, where, close_thought=True)
        first, second = (tuple(engine.vocabulary.tokenize(answer)) for answer in self.answers)
        if not first or not second:
            raise UserError("an answer is empty", where=name)
        job = ScoreJob(prompt, (first, second))
        if job.longest > engine.window:
            raise UserError("prompt and answer do not fit the model's context", where=name)
        return job


@dataclass(frozen=True)
class Trial:
    """What a layer's direction does.

    Attributes:
        layer: the block.
        effect: nats.
        divergence: nats.
    """

    layer: int
    effect: float
    divergence: float


def candidates(blocks: int, layers: range) -> list[int]:
    """Return the layers that may be chosen: those below 0.8 of the depth."""
    return [block for block in layers if block < DEEPEST * blocks]


def chosen(trials: Sequence[Trial], bound: float, where: Path) -> Trial:
    """Return the trial with the largest effect within the bound, the first of equals.

    Raises:
        UserError: every layer exceeds the bound.
    """
    within = [trial for trial in trials if trial.divergence <= bound]
    if not within:
        least = min(trials, key=lambda trial: trial.divergence)
        raise UserError(
            f"every layer changes benign prompts by more than {bound:g} nats (layer {least.layer} "
            f"least, by {least.divergence:.3f})",
            where=where,
            mend="lower --strength",
        )
    return max(within, key=lambda trial: trial.effect)


def divergence(plain: LogProbabilities, steered: LogProbabilities) -> float:
    """Return the Kullback–Leibler divergence of two distributions, in nats."""
    return math.fsum((np.exp(plain) * (plain - steered)).tolist())


def try_layers(
    engine: Engine,
    vector: Path,
    layers: Sequence[int],
    choices: Sequence[ScoreJob],
    benign: Sequence[tuple[int, ...]],
    strength: float,
) -> list[Trial]:
    """Measure what each layer's direction does by itself.

    Args:
        engine: the model.
        vector: a control vector with the directions of all these layers.
        layers: to try.
        choices: what effects are measured on.
        benign: prompts that should stay as they are.
        strength: how strong, both ways.
    """
    digest = engine.add_adapter("vector", vector)
    sets = [
        Adapters.of([Adapter("vector", digest, sign * strength, (layer, layer))])
        for layer in layers
        for sign in (1, -1)
    ]
    odds = _log_odds(engine, sets, choices)
    drifts = _drifts(engine, sets, benign)
    return [
        Trial(
            layer,
            round((odds[2 * place] - odds[2 * place + 1]) / 2, 6),
            round(max(drifts[2 * place : 2 * place + 2]), 6),
        )
        for place, layer in enumerate(layers)
    ]


def _log_odds(engine: Engine, sets: Sequence[Adapters], choices: Sequence[ScoreJob]) -> list[float]:
    """Return the mean log-odds under each adapter set."""
    jobs = [ScoreJob(job.prompt, job.continuations, one) for one in sets for job in choices]
    found = dict(engine.score(jobs))
    each = [
        math.fsum(found[number][0]) - math.fsum(found[number][1]) for number in range(len(jobs))
    ]
    count = len(choices)
    return [math.fsum(each[at * count : (at + 1) * count]) / count for at in range(len(sets))]


def _drifts(
    engine: Engine, sets: Sequence[Adapters], benign: Sequence[tuple[int, ...]]
) -> list[float]:
    """Return the mean divergence from the unsteered model under each adapter set."""
    plain = dict(engine.next_tokens([NextJob(prompt, NONE) for prompt in benign]))
    count = len(benign)
    jobs = [NextJob(prompt, one) for one in sets for prompt in benign]
    each = [0.0] * len(jobs)
    # one distribution at a time: the vocabulary is large
    for number, steered in engine.next_tokens(jobs):
        each[number] = divergence(plain[number % count], steered)
    return [math.fsum(each[at * count : (at + 1) * count]) / count for at in range(len(sets))]


def read_prompts(path: Path, record: type[Any]) -> list[Any]:
    """Read a file of choices or benign prompts.

    Raises:
        UserError: a line does not fit, or there is none.
    """
    found = list(read_records(path, record))
    if not found:
        raise UserError("holds no prompts", where=path)
    return found


def choose(
    engine: Engine,
    rows: Array,
    layers: range,
    choices: Path,
    benign: Path,
    strength: float,
    bound: float,
) -> tuple[range, dict[str, Any]]:
    """Return the layer that moves choices most within the bound, and the facts of all trials.

    Raises:
        UserError: a file is at fault, no layer may be chosen, or none keeps within the bound.
    """
    model = engine.model_shape
    held = [block for block in candidates(model.blocks, layers) if rows[block].any()]
    if not held:
        raise UserError(
            f"no layer with a direction lies below {DEEPEST:g} of the depth",
            where="--layers",
            mend="name earlier ones",
        )
    jobs = [one.job(engine, choices) for one in read_prompts(choices, Choice)]
    prompts = [one.tokens(engine, benign) for one in read_prompts(benign, Prompt)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "all.gguf"
        write_vector(path, model.architecture, rows, layers)
        trials = try_layers(engine, path, held, jobs, prompts, strength)
    best = chosen(trials, bound, benign)
    found = {
        "chosen": best.layer,
        "largest_divergence": bound,
        "strength": strength,
        "trials": [asdict(trial) for trial in trials],
    }
    return range(best.layer, best.layer + 1), {"choice": found}
