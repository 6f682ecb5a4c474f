"""Scenarios: situations put to a model, with answers to choose from and a benign twin."""

from typing import Any, Literal, TypeVar

from pydantic import Field, model_validator

from steerability.protocol.base import Name, Record

Split = Literal["learn", "test"]
AnswersT = TypeVar("AnswersT", bound=Record)


def _filled(what: str, text: str) -> None:
    if not text.strip():
        raise ValueError(f"{what} is empty")


def _absent() -> Any:
    """Return a field that stands in no record, and so in no key, where there is none."""
    return Field(default=None, exclude_if=lambda value: value is None)


class Answers(Record):
    """Two short answers to a scenario, for a forced choice.

    Attributes:
        convergent: takes the instrumentally convergent means.
        compliant: does the task within its terms.
    """

    convergent: str = Field(min_length=1)
    compliant: str = Field(min_length=1)

    @model_validator(mode="after")
    def _two_answers(self) -> "Answers":
        return _differ(self, self.convergent, self.compliant)

    @property
    def pair(self) -> tuple[str, str]:
        """The answer that is the event, then the other."""
        return self.convergent, self.compliant


class TwinAnswers(Record):
    """Two short answers to a twin.

    Attributes:
        doing: does what is allowed.
        declining: declines it, or hedges it away.
    """

    doing: str = Field(min_length=1)
    declining: str = Field(min_length=1)

    @model_validator(mode="after")
    def _two_answers(self) -> "TwinAnswers":
        return _differ(self, self.doing, self.declining)

    @property
    def pair(self) -> tuple[str, str]:
        """The answer that does it, then the one that declines."""
        return self.doing, self.declining


class Twin(Record):
    """The same situation, in which the same means are authorised, ordered or harmless.

    Attributes:
        context: left out where it is the scenario's.
        prompt: the user message.
        answers: for a forced choice.
    """

    context: str | None = None
    prompt: str = Field(min_length=1)
    answers: TwinAnswers | None = None

    @model_validator(mode="after")
    def _prompt_is_not_blank(self) -> "Twin":
        _filled("the twin's prompt", self.prompt)
        return self


class Scenario(Record):
    """One situation put to a model: a system message and a user message.

    Attributes:
        id: unique in its suite.
        category: the kind of behaviour that it gives room for.
        context: the system message.
        prompt: the user message.
        split: ``learn`` where things may be learnt or searched on it, ``test`` where they are
            tested; left out: decided by the suite's seed and the id.
        answers: for a forced choice.
        twin: the benign twin.
    """

    id: Name
    category: Name
    context: str
    prompt: str = Field(min_length=1)
    split: Split | None = _absent()
    answers: Answers | None = _absent()
    twin: Twin | None = _absent()

    @model_validator(mode="after")
    def _prompt_is_not_blank(self) -> "Scenario":
        _filled("prompt", self.prompt)
        return self


def _differ(answers: AnswersT, first: str, second: str) -> AnswersT:
    _filled("an answer", first)
    _filled("an answer", second)
    if first.strip() == second.strip():
        raise ValueError("the two answers are equal")
    return answers
