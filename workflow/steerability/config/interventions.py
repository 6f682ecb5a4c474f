"""What a config may say of an intervention."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from steerability.config.base import Name, Names, Place, Section, place, to_tuple


def _text_file(value: str) -> str:
    """Check a text's file; ``published:LABEL`` and no text are none."""
    return value if not value or value.startswith("published:") else place(value)


TextFile = Annotated[str, AfterValidator(_text_file)]
Texts = Annotated[tuple[TextFile, ...], BeforeValidator(to_tuple), Field(min_length=1)]
Strength = Annotated[float, Field(allow_inf_nan=False)]
Strengths = Annotated[tuple[Strength, ...], BeforeValidator(to_tuple), Field(min_length=1)]
Layers = Annotated[tuple[int, int], BeforeValidator(to_tuple)]


class InterventionSection(Section):
    """What all interventions may have."""

    family: Name | None = Field(
        default=None, description="means of one kind, for the tables; null: the kind's own name"
    )
    control_of: Name | None = Field(
        default=None, description="the intervention that this one is a control of"
    )


class TextIntervention(InterventionSection):
    """A text in the conversation.

    A text is a file, `published:LABEL` (recovered from the transcripts), or empty for none.
    """

    kind: Literal["append", "prepend", "system", "prefill"] = Field(
        description="after the question, before it, in the system message, or as the beginning "
        "of the answer"
    )
    text: TextFile | None = Field(default=None, description="the text's file")
    wordings: Texts | None = Field(
        default=None,
        description="files of the same content in other words, in place of `text`: one "
        "intervention each, NAME_1, NAME_2, …",
    )
    place: Literal["replace", "before", "after"] = Field(
        default="before", description="of a system text: in place of the context, before, after it"
    )
    repeat: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=1, description="how often the text is said, with an empty line between"
    )

    @model_validator(mode="after")
    def _one_of_text_and_wordings(self) -> "TextIntervention":
        if (self.text is None) == (self.wordings is None):
            raise ValueError("give either text or wordings")
        if "" in (self.wordings or ()):
            raise ValueError("one of the wordings is empty")
        if self.text == "" and self.kind != "append":
            raise ValueError(f"a {self.kind} needs a text")
        return self


class TurnsIntervention(InterventionSection):
    """Messages before the question: earlier turns or worked examples."""

    kind: Literal["turns"]
    messages: Place = Field(
        description="a YAML file: a list of `{role, content}`, user and assistant in turn"
    )


class AdapterIntervention(InterventionSection):
    """A control vector or a LoRA."""

    kind: Literal["vector", "lora"]
    adapter: Name = Field(description="a name in `catalogue.adapters`")
    strength: Strength | None = Field(
        default=None, description="what it is multiplied by; null: 1, or `strengths`"
    )
    strengths: Strengths | None = Field(
        default=None, description="one intervention each, NAME_STRENGTH"
    )
    layers: Layers | None = Field(
        default=None, description="first and last block of a vector, from 0; null: all it holds"
    )

    @model_validator(mode="after")
    def _one_strength_or_several(self) -> "AdapterIntervention":
        if self.strength is not None and self.strengths is not None:
            raise ValueError("give either strength or strengths")
        if self.layers is not None and self.kind == "lora":
            raise ValueError("layers go with a vector")
        if self.layers is not None and not 0 <= self.layers[0] <= self.layers[1]:
            raise ValueError("layers: first and last block, counted from 0")
        return self


class ComposedIntervention(InterventionSection):
    """Several interventions together."""

    kind: Literal["compose"]
    of: Names = Field(description="names of interventions, in the order they are made")


InterventionEntry = Annotated[
    TextIntervention | TurnsIntervention | AdapterIntervention | ComposedIntervention,
    Field(discriminator="kind"),
]


def entry_of(value: Any) -> Any:
    """Return an intervention's entry; a mere text stands for a suffix, as in the first edition."""
    return {"kind": "append", "text": value} if isinstance(value, str) else value


Interventions = dict[Name, Annotated[InterventionEntry, BeforeValidator(entry_of)]]


class Variant(Section):
    """One intervention of an entry that stands for several.

    Attributes:
        name: of the intervention.
        entry: the entry's own name.
        number: which of its wordings, from 0.
        strength: which of its strengths.
    """

    name: Name
    entry: Name
    number: int | None = None
    strength: float | None = None


def variants(name: str, entry: Any) -> tuple[Variant, ...]:
    """Return the interventions that an entry stands for.

    Args:
        name: the entry's name in the catalogue.
        entry: one of ``InterventionEntry``.
    """
    if isinstance(entry, TextIntervention) and entry.wordings is not None:
        return tuple(
            Variant(name=f"{name}_{at + 1}", entry=name, number=at)
            for at in range(len(entry.wordings))
        )
    if isinstance(entry, AdapterIntervention) and entry.strengths is not None:
        return tuple(
            Variant(name=f"{name}_{strength:g}".replace("+", ""), entry=name, strength=strength)
            for strength in entry.strengths
        )
    return (Variant(name=name, entry=name),)


def controlled(variant: Variant, entries: Mapping[str, Any]) -> str | None:
    """Return the intervention that a variant is a control of; None where it is none.

    An entry that stands for several may be named whole: each of the control's own strengths or
    wordings is then a control of the same one there.

    Args:
        variant: of an entry in ``entries``.
        entries: the catalogue's, by name.

    Raises:
        ValueError: nothing is called so, or the entry has no such strength or wording.
    """
    wanted = entries[variant.entry].control_of
    if wanted is None:
        return None
    every = {one.name for name, entry in entries.items() for one in variants(name, entry)}
    alike = [
        one.name
        for one in (variants(wanted, entries[wanted]) if wanted in entries else ())
        if (one.number, one.strength) == (variant.number, variant.strength)
    ]
    if wanted in every:
        return str(wanted)
    if not alike:
        raise ValueError(
            f"catalogue.interventions.{variant.entry}.control_of: {wanted!r} is not defined, or "
            f"has no strength or wording of {variant.name}"
        )
    return alike[0]
