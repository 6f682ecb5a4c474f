"""The rubric of the ``rules`` judge as data: its schema, and how it is read from YAML."""

import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from steerability.judges.measures import MEASURES
from steerability.support.documents import read_yaml
from steerability.support.errors import UserError
from steerability.support.jsonl import explain

BUILTIN = Path(__file__).resolve().parents[2] / "judges" / "rules.yaml"
ANY_CATEGORY = "any"
LARGEST = 1_000_000

Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST, allow_inf_nan=False)]
"""A weight, bound or score: finite, and small enough that sums of them stay exact in print."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _compiled(patterns: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in patterns:
        try:
            re.compile(pattern, re.IGNORECASE)
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    return patterns


class Bound(_Part):
    """A measure on one side of a bound."""

    measure: str
    above: Number | None = None
    below: Number | None = None

    @model_validator(mode="after")
    def _known_and_one_sided(self) -> "Bound":
        if self.measure not in MEASURES:
            raise ValueError(f"no measure {self.measure!r}; known: {', '.join(MEASURES)}")
        if (self.above is None) == (self.below is None):
            raise ValueError(f"{self.measure}: give either above or below")
        return self

    def holds(self, value: float) -> bool:
        """Say whether a value lies beyond the bound."""
        return value > self.above if self.above is not None else value < (self.below or 0.0)

    def words(self, value: float) -> str:
        """Return the bound with the value found, for a label's reason."""
        side, bound = (">", self.above) if self.above is not None else ("<", self.below)
        return f"{self.measure} {value:.2f} {side} {bound:g}"


class NonsenseRule(_Part):
    """A response is nonsensical when all bounds of one rule hold."""

    name: str
    all: tuple[Bound, ...] = Field(min_length=1)

    @cached_property
    def by_cost(self) -> tuple[Bound, ...]:
        """The bounds, those first whose measures cost least."""
        costs = list(MEASURES)
        return tuple(sorted(self.all, key=lambda bound: costs.index(bound.measure)))


class RefusalRule(_Part):
    """When a response mainly declines.

    Attributes:
        head_words: cues count only where they begin within so many first words.
        most_words: a longer response does more than decline.
        most_score: a response whose convergence score is above it does more than decline.
        cues: regular expressions, case ignored.
    """

    head_words: int = Field(ge=1, le=LARGEST)
    most_words: int = Field(ge=1, le=LARGEST)
    most_score: Number
    cues: tuple[str, ...]

    _check = field_validator("cues")(_compiled)


class Group(_Part):
    """Cues that say the same thing; a group adds ``weight`` per match, at most ``cap`` times.

    Attributes:
        name: what the cues say, named in a label's reason.
        category: the category whose scenarios it is for, or ``any``.
        weight: points per match; negative where the cues speak against convergence.
        cap: matches counted at most.
        negatable: a match after a negation (``negations``) in the same clause does not count.
        cues: regular expressions, case ignored.
    """

    name: str
    category: str = ANY_CATEGORY
    weight: Number
    cap: int = Field(default=3, ge=1, le=LARGEST)
    negatable: bool = True
    cues: tuple[str, ...] = Field(min_length=1)

    _check = field_validator("cues")(_compiled)


class Negated(_Part):
    """What cues after a negation add: they say what will not be done."""

    weight: Number
    cap: int = Field(ge=1, le=LARGEST)


class Convergence(_Part):
    """When a response converges: the groups' points, summed, reach the threshold.

    Attributes:
        threshold: points from which a response converges.
        negation_words: how many words before a cue a negation still reaches it.
        negations: regular expressions of negations.
        negated: points for cues that stand after a negation, over all groups together.
        groups: the cues.
    """

    threshold: Number
    negation_words: int = Field(ge=0, le=LARGEST)
    negations: tuple[str, ...]
    negated: Negated
    groups: tuple[Group, ...] = Field(min_length=1)

    _check = field_validator("negations")(_compiled)


class Outcomes(_Part):
    """What the steps of the decision are called on the scale.

    Attributes:
        nonsense: where a nonsense rule holds.
        refusal: where the response mainly declines.
        cues: where the cues reach the threshold.
        otherwise: where nothing does.
    """

    nonsense: str = "nonsensical"
    refusal: str = "safety_refusal"
    cues: str = "convergence"
    otherwise: str = "no_convergence"

    @property
    def names(self) -> set[str]:
        """All of them."""
        return {self.nonsense, self.refusal, self.cues, self.otherwise}


class Rubric(_Part):
    """The whole rubric.

    Attributes:
        version: raised with every change that is published.
        language: of the cues; responses in another language are not understood.
        common_words: function words, for the measure ``common_share``.
        role_marks: patterns of a dialogue's turns or a template's tags.
        nonsense: rules, tried in order before everything else.
        refusal: tried next.
        convergence: tried last; what it does not claim is the outcome ``otherwise``.
        outcomes: names of the four steps' results; those of the scale ``behaviour`` by default.
    """

    version: str
    language: Literal["en"]
    common_words: tuple[str, ...]
    role_marks: tuple[str, ...]
    nonsense: tuple[NonsenseRule, ...]
    refusal: RefusalRule
    convergence: Convergence
    outcomes: Outcomes = Outcomes()

    _check = field_validator("role_marks")(_compiled)

    @field_validator("common_words", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(value.split()) if isinstance(value, str) else value

    @model_serializer(mode="wrap")
    def _without_default_outcomes(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # the first edition had no such field: its keys and trained judges stay what they are
        fields: dict[str, Any] = dump(self)
        if self.outcomes == Outcomes():
            fields.pop("outcomes", None)
        return fields

    @cached_property
    def marks(self) -> tuple[re.Pattern[str], ...]:
        """The compiled role marks."""
        return tuple(re.compile(mark, re.IGNORECASE | re.MULTILINE) for mark in self.role_marks)


def load_rubric(path: Path | None = None) -> Rubric:
    """Read and check a rubric.

    Args:
        path: a YAML file; None is the built-in rubric.

    Raises:
        UserError: the file cannot be read or does not fit; names the field.
    """
    source = BUILTIN if path is None else path
    try:
        return Rubric.model_validate(read_yaml(source))
    except ValidationError as error:
        raise UserError(explain(error), where=source) from error
