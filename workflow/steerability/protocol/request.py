"""Requests to the engine or an endpoint, and the lines that come back."""

from typing import Annotated, Literal

from pydantic import Field, RootModel, model_validator

from steerability.protocol.base import HEX_PATTERN, LARGEST, Count, Record
from steerability.protocol.conversation import Message

FinishReason = Literal["stop", "length", "context", "content_filter", "refused"]
FILTERED: Literal["content_filter"] = "content_filter"
REFUSED: Literal["refused"] = "refused"
NOT_ITS_OWN = frozenset({FILTERED, REFUSED})
"""How a text ends that is not the model's own, or not all of it: no judge reads it."""
THINK_END = "</think>"
Block = Annotated[int, Field(ge=0)]


class Sampling(Record):
    """How the next token is chosen; temperature 0 is greedy and ignores the rest.

    ``top_k`` 0 and ``top_p`` 1 switch the filters off; ``seed`` counts into the cell's key, so
    the random stream belongs to the cell.
    """

    temperature: float = Field(default=0.0, ge=0.0, le=10.0)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    top_k: int = Field(default=0, ge=0, le=LARGEST)
    seed: int = Field(default=0, ge=0, lt=2**32)


class AdapterFile(Record):
    """An adapter that a request puts on the model.

    Attributes:
        kind: ``vector`` (a control vector) or ``lora``.
        path: a GGUF file, from the working directory on.
        strength: factor; 1 is the file as it stands, 0 none, below 0 the other way.
        layers: first and last block it acts on, counted from 0; None for all that it has.
        sha256: the digest that the file must have; None takes whichever it has.
    """

    kind: Literal["vector", "lora"]
    path: str = Field(min_length=1)
    strength: float = Field(default=1.0, allow_inf_nan=False)
    layers: tuple[Block, Block] | None = None
    sha256: str | None = Field(default=None, pattern=HEX_PATTERN)

    @model_validator(mode="after")
    def _layers_are_some(self) -> "AdapterFile":
        if self.layers is not None and self.layers[0] > self.layers[1]:
            raise ValueError("layers are the first and the last block")
        return self


class Request(Record):
    """What one cell asks of the engine: a line of ``requests.jsonl``.

    Attributes:
        id: unique within the file.
        messages: chat messages, rendered with the weights' own template or ``template``; an
            assistant's message at the end is the beginning of the answer.
        prompt: plain text in place of messages; no template, no special tokens parsed.
        max_tokens: most tokens to generate; None for a choice.
        answers: texts to score after the prompt, in place of generating.
        max_prompt_tokens: keep only this many first tokens of the prompt (None: refuse to cut).
        template: a Jinja chat template in place of the weights' own.
        stop: token ids that end the text; None is the vocabulary's own end-of-sequence token,
            ``turn`` that and the token that ends a turn in the chat template.
        fold_system: put the system message in front of the first user message's text, for
            templates that take none.
        thinking: the text up to the last ``</think>`` is thinking, the rest the answer.
        sampling: greedy unless said otherwise.
        sample: which of several replies, from 0; each has a random stream of its own.
        adapters: on while the request is answered, in the order they are added.
    """

    id: str = Field(min_length=1)
    messages: tuple[Message, ...] | None = None
    prompt: str | None = None
    max_tokens: Count | None = None
    answers: tuple[str, ...] | None = Field(
        default=None, min_length=2, exclude_if=lambda answers: answers is None
    )
    max_prompt_tokens: Count | None = None
    template: str | None = None
    stop: tuple[int, ...] | Literal["turn"] | None = None
    fold_system: bool = Field(default=False, exclude_if=lambda folds: not folds)
    thinking: bool = False
    sampling: Sampling = Sampling()
    sample: int = Field(default=0, ge=0, le=LARGEST, exclude_if=lambda sample: sample == 0)
    adapters: tuple[AdapterFile, ...] = Field(default=(), exclude_if=lambda adapters: not adapters)

    @model_validator(mode="after")
    def _one_kind_of_prompt_and_measure(self) -> "Request":
        if (self.messages is None) == (self.prompt is None):
            raise ValueError("give either messages or prompt")
        if self.prompt is not None and self.template is not None:
            raise ValueError("a template goes with messages, not with prompt")
        if self.prompt is not None and (self.stop == "turn" or self.fold_system):
            raise ValueError("stop: turn and fold_system go with messages, not with prompt")
        if not (self.messages or self.prompt):
            raise ValueError("the prompt is empty")
        if (self.max_tokens is None) == (self.answers is None):
            raise ValueError("give either max_tokens or answers")
        if self.answers is not None and not all(self.answers):
            raise ValueError("an answer is empty")
        return self


class Output(Record):
    """A line that ``steerability generate`` prints, in request order.

    Attributes:
        id: the request's id.
        text: the answer (all text when there is no ``</think>``).
        thinking: the text before the last ``</think>``, None where the request expects none.
        finish_reason: ``stop``, ``length`` (token limit) or ``context`` (context window full);
            of an endpoint also ``content_filter``, ``refused``, or None where it does not say.
        prompt_tokens: tokens evaluated before the first generated one; None where an endpoint
            does not say.
        completion_tokens: tokens generated, the stop token not counted; None likewise.
        key: name of the object in the store.
        truncated: the prompt was cut to ``max_prompt_tokens``.
        thinking_cut: a thinking request ended without ``</think>``.
    """

    id: str
    text: str
    thinking: str | None = None
    finish_reason: FinishReason | None
    prompt_tokens: int | None = Field(default=None, ge=0)
    completion_tokens: int | None = Field(default=None, ge=0)
    key: str
    truncated: bool = False
    thinking_cut: bool = False


class ChoiceOutput(Record):
    """A line that ``steerability generate`` prints for a request with answers.

    Attributes:
        id: the request's id.
        scores: natural log-probabilities, a list for each answer with a number for each token.
        prompt_tokens: tokens before the answers.
        key: name of the object in the store.
        truncated: the prompt was cut to ``max_prompt_tokens``.
    """

    id: str
    scores: tuple[tuple[float, ...], ...]
    prompt_tokens: int = Field(ge=0)
    key: str
    truncated: bool = Field(default=False, exclude_if=lambda cut: not cut)


class OutputLine(RootModel[Output | ChoiceOutput]):
    """A line of either kind: their fields tell them apart."""
