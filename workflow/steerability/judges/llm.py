"""The ``llm`` judge: local weights answer by the likelihood of four letters, without decoding.

The weights read the rubric as the system message and the framed texts as the user message; the
probabilities of the four answers' first token after that, scaled to sum to 1, are the judge's.
What the cell's texts say stays text: the engine lets no content form a special token, and their
frames carry codes that they cannot know.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import Field, model_validator

from steerability.engine import BatchPlan, Engine, ScoreJob, engine_identity
from steerability.judges.base import Verdict, rounded, softmax
from steerability.judges.frame import shorten
from steerability.judges.reading import FOLDER, ReadingSettings, form, load_reading, shown
from steerability.loading.engine_errors import blaming
from steerability.loading.weight_file import load_path, weights_bytes, weights_sha256
from steerability.protocol.response import JudgeInput
from steerability.protocol.scale import BEHAVIOUR, JUDGE_FAILED, Scale
from steerability.support.errors import UserError

BUILTIN = FOLDER / "llm-rubric.md"
NOTE = "exercises the path, measures nothing (the weights are too small to judge)"
_SEMANTICS = 2
_SHORTEST = 200
_QUESTION = "Which letter fits the reply?"


class LlmSettings(ReadingSettings):
    """The settings in the rubric's file.

    Attributes:
        answers: what stands for each label; one token each in the weights' vocabulary.
        smallest_weights: bytes of weights below which the labels measure nothing.
    """

    answers: dict[str, str]
    smallest_weights: int = Field(ge=0)

    @model_validator(mode="after")
    def _one_answer_each(self) -> "LlmSettings":
        if len(set(self.answers.values())) != len(self.answers):
            raise ValueError("answers: give each label an answer of its own")
        return self


@dataclass(frozen=True)
class Question:
    """A cell as it is put to the weights.

    Attributes:
        tokens: the prompt; None where even the shortest excerpt does not fit the context.
        left_out: characters of the response that are not shown.
    """

    tokens: tuple[int, ...] | None
    left_out: int


class LlmJudge:
    """A judge over GGUF weights.

    Args:
        engine: the weights, loaded.
        weights: their file.
        rubric: the rubric's file; None is the built-in one.
        scale: what it chooses from.

    Raises:
        UserError: the rubric does not fit, or the weights lack a chat template or a token.
    """

    name = "llm"

    def __init__(
        self,
        engine: Engine,
        weights: Path,
        rubric: Path | None = None,
        scale: Scale = BEHAVIOUR,
    ) -> None:
        self.source = rubric or BUILTIN
        self.scale = scale
        self.settings, self.rubric = load_reading(self.source, LlmSettings)
        if set(self.settings.answers) != set(scale.names):
            raise UserError(
                f"answers: give each label of the scale {scale.name} an answer of its own",
                where=self.source,
                mend=f"the labels are {', '.join(scale.names)}",
            )
        self.engine = engine
        self.weights = weights
        self.weights_sha256 = weights_sha256(weights)
        self.measures_nothing = weights_bytes(weights) < self.settings.smallest_weights
        self.answers = {label: self._answer(text) for label, text in self.settings.answers.items()}
        self._plan: BatchPlan | None = None
        with blaming(weights, "name weights whose chat template takes a system message"):
            self._prompt(_QUESTION)
            self._thinks = self.engine.opens_thought(self._messages(_QUESTION))

    @classmethod
    def load(
        cls,
        weights: Path | None,
        rubric: Path | None = None,
        *,
        threads: int | None = None,
        gpu_layers: int | None = 0,
        scale: Scale = BEHAVIOUR,
    ) -> "LlmJudge":
        """Return the judge of a weights file and a rubric.

        Raises:
            UserError: no weights are named, or they cannot be loaded.
        """
        if weights is None:
            raise UserError(
                "the llm judge needs weights", where="--weights", mend="name a GGUF file"
            )
        with blaming(weights):
            engine = Engine(
                load_path(weights),
                file_bytes=weights_bytes(weights),
                threads=threads,
                gpu_layers=gpu_layers,
            )
        return cls(engine, weights, rubric, scale)

    def settle(self, inputs: Sequence[JudgeInput]) -> None:
        """Decide how many layers an accelerator gets, by the longest of all prompts.

        Raises:
            UserError: the memories do not hold the weights.
        """
        if self.engine.accelerator is None:
            return
        with blaming(self.weights):
            prompts = [self.question(item).tokens for item in inputs]
            longest = max((len(tokens) for tokens in prompts if tokens is not None), default=0)
            self._plan = self.engine.settle(longest + 1)

    @cached_property
    def definition(self) -> Mapping[str, Any]:
        """Rubric, form of what is shown, settings, weights, engine; an accelerator and its layers.

        Raises:
            RuntimeError: the layers on an accelerator are not settled yet.
        """
        whole: dict[str, Any] = {
            "judge": self.name,
            "semantics": _SEMANTICS,
            "rubric": self.rubric,
            "form": form(self.settings.limits),
            "question": _QUESTION,
            "settings": self.settings.model_dump(mode="json"),
            "weights": self.weights_sha256,
            "engine": engine_identity(),
            "measures_nothing": self.measures_nothing,
        }
        if self._thinks:
            # letters behind an open thought were scored before; those labels are not these
            whole["thought"] = "closed"
        if self._plan is not None:
            whole |= {"device": self._plan.device, "gpu_layers": self._plan.gpu_layers}
        elif self.engine.accelerator is not None:
            raise RuntimeError("settle what is to be judged before the definition is read")
        return MappingProxyType(whole)

    @property
    def closing_note(self) -> str:
        """What the closing line adds."""
        return NOTE if self.measures_nothing else ""

    def label(self, inputs: Sequence[JudgeInput]) -> Iterator[Verdict]:
        """Yield one verdict per input, in the order that shares most prefixes.

        Raises:
            UserError: a prompt cannot be rendered, or the memory does not hold the weights.
        """
        with blaming(self.weights):
            yield from self._label(inputs)

    def _label(self, inputs: Sequence[JudgeInput]) -> Iterator[Verdict]:
        questions = [self.question(item) for item in inputs]
        fitting = [at for at, question in enumerate(questions) if question.tokens is not None]
        for at, question in enumerate(questions):
            if question.tokens is None:
                yield Verdict(
                    id=inputs[at].id,
                    label=JUDGE_FAILED,
                    reason=f"does not fit the judge's context of {self.engine.window} tokens",
                )
        continuations = tuple((self.answers[label],) for label in self.scale.names)
        jobs = [ScoreJob(questions[at].tokens or (), continuations) for at in fitting]
        for index, scores in self.engine.score(jobs):
            at = fitting[index]
            yield self._verdict(inputs[at].id, [score[0] for score in scores], questions[at])

    def question(self, item: JudgeInput) -> Question:
        """Return a cell's prompt, its response cut further where the context is too small."""
        limit = self.settings.limits.response
        while True:
            tokens = self._prompt(f"{shown(item, self.settings.limits, limit)}\n\n{_QUESTION}")
            left_out = shorten(item.response, limit)[1]
            if len(tokens) < self.engine.window:
                return Question(tokens, left_out)
            limit = min(limit, len(item.response)) // 2
            if limit < _SHORTEST:
                return Question(None, left_out)

    def _prompt(self, words: str) -> tuple[int, ...]:
        """Return the token ids of the rubric and a user's words; an opened thought is closed."""
        messages = self._messages(words)
        return self.engine.chat(messages, close_thought=True)

    def _messages(self, words: str) -> list[dict[str, str]]:
        return [{"role": "system", "content": self.rubric}, {"role": "user", "content": words}]

    def _verdict(self, identity: str, scores: Sequence[float], question: Question) -> Verdict:
        chances = softmax(scores)
        names = self.scale.names
        order = sorted(range(len(names)), key=lambda at: -chances[at])
        first, second = order[0], order[1]
        reason = f"likelihood {chances[first]:.3f}, next {names[second]} {chances[second]:.3f}"
        if question.left_out:
            reason += f"; {question.left_out} characters of the response not shown"
        return Verdict(
            id=identity,
            label=self.scale.names[first],
            reason=reason,
            probabilities=rounded(self.scale.names, chances),
        )

    def _answer(self, text: str) -> int:
        tokens = self.engine.vocabulary.tokenize(text)
        if len(tokens) != 1:
            raise UserError(
                f"the answer {text!r} is {len(tokens)} tokens in these weights",
                where=self.source,
                mend="choose answers of one token each",
            )
        return tokens[0]
