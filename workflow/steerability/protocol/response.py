"""Responses: cells with what was sent, what came back, what was shown; and what a judge reads."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from steerability.protocol.base import Digest, Name, Record
from steerability.protocol.cell import Cell
from steerability.protocol.conversation import Message
from steerability.protocol.request import NOT_ITS_OWN, FinishReason


class Shown(Record):
    """What a judge is shown of a request.

    Attributes:
        category: of the scenario.
        context: the background: the system message that the request has, or would have.
        prompt: what was asked, the intervention's text included.
        plain_context: the background without what the intervention added.
        plain_prompt: what was asked without it.
    """

    category: Name
    context: str
    prompt: str
    plain_context: str
    plain_prompt: str


class Planned(Record):
    """A cell of the plan: what its request is about, kept apart from the request.

    Attributes:
        cell: the cell.
        shown: what judges are shown.
        sent: the messages of the request; a single user message where plain text was sent.
        plain: whether plain text was sent, without a template.
        answers: of a choice: the answer that is the event, then the other.
    """

    cell: Cell
    shown: Shown
    sent: tuple[Message, ...]
    plain: bool = False
    answers: tuple[str, str] | None = None

    @property
    def id(self) -> str:
        """The cell's name, which is the request's."""
        return self.cell.cell_id


class GuardDecision(Record):
    """What a guard decided about a reply.

    Attributes:
        guard: its name.
        blocked: whether a fixed refusal was shown in place of the reply.
        score: how suspicious the reply was, from 0 to 1; None where the guard gives none.
        threshold: from which score it blocks.
        reason: what decided.
    """

    guard: Name
    blocked: bool
    score: float | None = None
    threshold: float | None = None
    reason: str = ""


class Response(Cell):
    """A cell with its reply: a row of the table that judges read.

    Values that a source does not know (transcripts have no token counts or finish reason) are
    None. ``response`` is what was shown to the reader, ``raw`` what the model said where a guard
    put something else in its place. ``completion_sha256`` is the SHA-256 of the UTF-8 bytes of
    what the model said.
    """

    id: str
    category: Name
    context: str
    prompt: str
    plain_context: str
    plain_prompt: str
    sent: tuple[Message, ...]
    plain: bool = False
    response: str
    raw: str | None = None
    decision: GuardDecision | None = None
    thinking: str | None = None
    finish_reason: FinishReason | None = None
    prompt_tokens: int | None = Field(default=None, ge=0)
    completion_tokens: int | None = Field(default=None, ge=0)
    truncated: bool = False
    thinking_cut: bool = False
    completion_sha256: Digest
    key: str

    @model_validator(mode="after")
    def _id_names_the_cell(self) -> "Response":
        if self.id != self.cell_id:
            raise ValueError(f"id {self.id} is not the cell {self.cell_id}")
        return self


class Choice(Cell):
    """A cell with the log-probabilities of two answers.

    Attributes:
        id: the cell's name.
        scores: natural log-probability of each token, in nats: of the answer that is the event,
            then of the other.
        answers: the two texts.
        prompt_tokens: tokens before the answers.
        key: name of the object in the store.
    """

    id: str
    scores: tuple[tuple[float, ...], tuple[float, ...]]
    answers: tuple[str, str]
    prompt_tokens: int | None = Field(default=None, ge=0)
    key: str

    @model_validator(mode="after")
    def _id_names_the_cell(self) -> "Choice":
        if self.id != self.cell_id:
            raise ValueError(f"id {self.id} is not the cell {self.cell_id}")
        return self


class JudgeInput(BaseModel):
    """What a judge reads of a response; further fields of the line are let through unread.

    Of ``finish_reason``, which may be anything, only ``content_filter`` and ``refused`` matter.
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
        return isinstance(self.finish_reason, str) and self.finish_reason in NOT_ITS_OWN
