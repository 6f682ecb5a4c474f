"""Conversations, and the edits that an intervention makes on them."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from steerability.protocol.base import Record

Role = Literal["system", "user", "assistant"]


class Message(Record):
    """One chat message."""

    role: Role
    content: str


class Conversation(Record):
    """What is put to a model, before a template makes one text of it.

    Attributes:
        system: the system message; empty for none.
        turns: messages of user and assistant before the question.
        question: the user message that is answered.
        prefill: how the answer begins; the model goes on from there.
    """

    system: str = ""
    turns: tuple[Message, ...] = ()
    question: str
    prefill: str = ""

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages in order, the prefill as the beginning of the assistant's."""
        system = (Message(role="system", content=self.system),) if self.system else ()
        answer = (Message(role="assistant", content=self.prefill),) if self.prefill else ()
        return (*system, *self.turns, Message(role="user", content=self.question), *answer)

    @property
    def plain(self) -> str:
        """The same as plain text: parts joined by an empty line, without names of roles."""
        parts = (self.system, *(turn.content for turn in self.turns), self.question, self.prefill)
        return "\n\n".join(part for part in parts if part)

    @property
    def asked(self) -> str:
        """What was asked, as a judge reads it: the question, after the turns where there are any.

        The system message is not in it: judges are shown it as the background.
        """
        if not self.turns:
            return self.question
        before = (f"{turn.role.capitalize()}: {turn.content.strip()}" for turn in self.turns)
        return "\n\n".join((*before, f"User: {self.question}"))


class Append(Record):
    """A text after the question, as published: the paper's ``steered_prompt``."""

    kind: Literal["append"] = "append"
    text: str

    def apply(self, conversation: Conversation) -> Conversation:
        """Return the conversation with the text after the question and an empty line."""
        text = self.text.strip()
        if not text:
            return conversation
        question = f"{conversation.question.rstrip()}\n\n{text}\n"
        return conversation.model_copy(update={"question": question})


class Prepend(Record):
    """A text before the question."""

    kind: Literal["prepend"] = "prepend"
    text: str = Field(min_length=1)

    def apply(self, conversation: Conversation) -> Conversation:
        """Return the conversation with the text and an empty line before the question."""
        question = f"{self.text.strip()}\n\n{conversation.question}"
        return conversation.model_copy(update={"question": question})


class System(Record):
    """A text in the system message: in place of the scenario's context, before or after it."""

    kind: Literal["system"] = "system"
    text: str = Field(min_length=1)
    place: Literal["replace", "before", "after"] = "before"

    def apply(self, conversation: Conversation) -> Conversation:
        """Return the conversation with the text in its system message."""
        text, system = self.text.strip(), conversation.system
        parts = {"replace": (text,), "before": (text, system), "after": (system, text)}[self.place]
        whole = "\n\n".join(part for part in parts if part)
        return conversation.model_copy(update={"system": whole})


class Turns(Record):
    """Messages of user and assistant before the question: earlier turns, or worked examples."""

    kind: Literal["turns"] = "turns"
    messages: tuple[Message, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _user_and_assistant_in_turn(self) -> "Turns":
        wanted = [("user", "assistant")[at % 2] for at in range(len(self.messages))]
        if [message.role for message in self.messages] != wanted or len(wanted) % 2:
            raise ValueError("turns: user and assistant take turns, the assistant's is the last")
        return self

    def apply(self, conversation: Conversation) -> Conversation:
        """Return the conversation with the messages before its question, after earlier turns."""
        turns = (*conversation.turns, *self.messages)
        return conversation.model_copy(update={"turns": turns})


class Prefill(Record):
    """The beginning of the answer."""

    kind: Literal["prefill"] = "prefill"
    text: str = Field(min_length=1)

    def apply(self, conversation: Conversation) -> Conversation:
        """Return the conversation with the text at the end of its prefill."""
        return conversation.model_copy(update={"prefill": conversation.prefill + self.text})


Edit = Annotated[Append | Prepend | System | Turns | Prefill, Field(discriminator="kind")]
