"""The records that pass between stages, one class each; all are frozen and refuse unknown fields.

Their JSON form is the contract between stages; ``Completion`` and ``Label`` serve generated
completions and published transcripts alike.
"""

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Outcome = Literal["convergence", "no_convergence", "safety_refusal", "nonsensical"]
LabelName = Literal[
    "convergence", "no_convergence", "safety_refusal", "nonsensical", "judge_failed"
]
FinishReason = Literal["stop", "length", "context", "content_filter"]
LABELS: tuple[Outcome, ...] = get_args(Outcome)
JUDGE_FAILED = "judge_failed"
FILTERED: Literal["content_filter"] = "content_filter"
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
HEX_PATTERN = r"^[0-9a-f]{64}$"
THINK_END = "</think>"
LARGEST = 2**31 - 1
"""The largest number of tokens, seeds or samples: the engine's and the keys' integers hold it."""
Count = Annotated[int, Field(ge=1, le=LARGEST)]


class Record(BaseModel):
    """Base of every record."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Scenario(Record):
    """One situation put to a model: a system message and a user message."""

    id: str = Field(pattern=NAME_PATTERN)
    category: str = Field(pattern=NAME_PATTERN)
    context: str
    prompt: str = Field(min_length=1)

    @model_validator(mode="after")
    def _prompt_is_not_blank(self) -> "Scenario":
        if not self.prompt.strip():
            raise ValueError("prompt is empty")
        return self


class Intervention(Record):
    """A short text put after every scenario's prompt; an empty text leaves the prompt as it is."""

    name: str = Field(pattern=NAME_PATTERN)
    text: str

    def apply(self, prompt: str) -> str:
        """Return the prompt with the suffix as published (paper's ``steered_prompt``)."""
        suffix = self.text.strip()
        return f"{prompt.rstrip()}\n\n{suffix}\n" if suffix else prompt


class Cell(Record):
    """One place of the grid model x intervention x scenario."""

    model: str = Field(pattern=NAME_PATTERN)
    size: str
    stage: str
    intervention: str = Field(pattern=NAME_PATTERN)
    suite: str
    category: str
    scenario: str = Field(pattern=NAME_PATTERN)

    @property
    def cell_id(self) -> str:
        """The cell's name, unique within a run."""
        return f"{self.model}/{self.intervention}/{self.scenario}"


class Message(Record):
    """One chat message."""

    role: Literal["system", "user", "assistant"]
    content: str


class Sampling(Record):
    """How the next token is chosen; temperature 0 is greedy and ignores the rest.

    ``top_k`` 0 and ``top_p`` 1 switch the filters off; ``seed`` counts into the cell's key, so
    the random stream belongs to the cell.
    """

    temperature: float = Field(default=0.0, ge=0.0, le=10.0)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    top_k: int = Field(default=0, ge=0, le=LARGEST)
    seed: int = Field(default=0, ge=0, lt=2**32)


class Request(Record):
    """What one cell asks of the engine: a line of ``requests.jsonl``.

    Attributes:
        id: unique within the file.
        messages: chat messages, rendered with the weights' own template or ``template``.
        prompt: plain text in place of messages; no template, no special tokens parsed.
        max_tokens: most tokens to generate; 0 where answers are given.
        max_prompt_tokens: keep only this many first tokens of the prompt (None: refuse to cut).
        template: a Jinja chat template in place of the weights' own.
        stop: token ids that end the text; None is the vocabulary's own end-of-sequence token.
        thinking: the text up to the last ``</think>`` is thinking, the rest the answer.
        sampling: greedy unless said otherwise.
        adapters: control vectors and LoRA that act on the model.
        answers: texts whose log-probabilities are wanted, in place of a text of the model's own.
    """

    id: str = Field(min_length=1)
    messages: tuple[Message, ...] | None = None
    prompt: str | None = None
    max_tokens: int = Field(default=0, ge=0, le=LARGEST, exclude_if=lambda limit: limit == 0)
    max_prompt_tokens: Count | None = None
    template: str | None = None
    stop: tuple[int, ...] | None = None
    thinking: bool = False
    sampling: Sampling = Sampling()
    adapters: tuple["AdapterUse", ...] = Field(default=(), exclude_if=lambda some: not some)
    answers: tuple[str, ...] | None = Field(
        default=None, min_length=2, exclude_if=lambda some: some is None
    )

    @model_validator(mode="after")
    def _one_kind_of_reply(self) -> "Request":
        if self.answers is None and self.max_tokens == 0:
            raise ValueError("give max_tokens, from 1 on, or answers")
        if self.answers is not None and self.max_tokens:
            raise ValueError("give max_tokens or answers, not both")
        return self

    @model_validator(mode="after")
    def _one_kind_of_prompt(self) -> "Request":
        if (self.messages is None) == (self.prompt is None):
            raise ValueError("give either messages or prompt")
        if self.prompt is not None and self.template is not None:
            raise ValueError("a template goes with messages, not with prompt")
        if not (self.messages or self.prompt):
            raise ValueError("the prompt is empty")
        return self


class PlannedRequest(Request):
    """A request together with the cell it fills and the texts a judge will see."""

    cell: Cell
    context: str
    scenario_prompt: str
    steered_prompt: str


class Output(Record):
    """A line that ``steerability generate`` prints, in request order.

    Attributes:
        id: the request's id.
        text: the answer (all text when there is no ``</think>``).
        thinking: the text before the last ``</think>``, None where the request expects none.
        finish_reason: ``stop``, ``length`` (token limit) or ``context`` (context window full);
            of an endpoint also ``content_filter``, or None where it does not say.
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


class Completion(Cell):
    """A cell with its completion: a row of the table that judges read.

    Values that a source does not know (transcripts have no token counts or finish reason) are
    None. ``prompt`` is the user message as sent, ``scenario_prompt`` the one without a suffix.
    ``completion_sha256`` is the SHA-256 of the response's UTF-8 bytes.
    """

    id: str
    context: str
    prompt: str
    scenario_prompt: str
    response: str
    thinking: str | None = None
    finish_reason: FinishReason | None = None
    prompt_tokens: int | None = Field(default=None, ge=0)
    completion_tokens: int | None = Field(default=None, ge=0)
    truncated: bool = False
    thinking_cut: bool = False
    completion_sha256: str = Field(pattern=HEX_PATTERN)
    key: str

    @model_validator(mode="after")
    def _id_names_the_cell(self) -> "Completion":
        if self.id != self.cell_id:
            raise ValueError(f"id {self.id} is not the cell {self.cell_id}")
        return self


class JudgeInput(BaseModel):
    """What a judge reads of a completion; further fields of the line are let through unread.

    Of ``finish_reason``, which may be anything, only ``content_filter`` matters.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(min_length=1)
    category: str
    context: str
    prompt: str
    response: str
    finish_reason: Any = None

    @property
    def filtered(self) -> bool:
        """Whether an endpoint kept back the model's own text, or part of it."""
        return bool(self.finish_reason == FILTERED)


class Label(Record):
    """A judge's word on one cell: a line that ``steerability judge`` prints.

    ``reason`` names the cue, rule or words that decided; ``probabilities`` holds one number per
    label, summing to 1, in the order of ``LABELS`` whether made now or read from the store; None
    where the judge has none.
    """

    id: str
    label: LabelName
    reason: str
    probabilities: dict[Outcome, float] | None = None
    judge: str
    key: str

    @field_validator("probabilities")
    @classmethod
    def _in_the_order_of_labels(
        cls, given: dict[Outcome, float] | None
    ) -> dict[Outcome, float] | None:
        return None if given is None else {name: given[name] for name in LABELS if name in given}


class AdapterUse(Record):
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
    layers: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]] | None = None
    sha256: str | None = Field(default=None, pattern=HEX_PATTERN)

    @model_validator(mode="after")
    def _layers_are_some(self) -> "AdapterUse":
        if self.layers is not None and self.layers[0] > self.layers[1]:
            raise ValueError("layers are the first and the last block")
        return self


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


Request.model_rebuild()
PlannedRequest.model_rebuild()
