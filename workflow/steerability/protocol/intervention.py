"""Interventions: who moves a model, by which means, how hard, and where the means come from."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from steerability.protocol.base import Digest, Name, Record
from steerability.protocol.conversation import Conversation, Edit

Access = Literal["prompt", "conversation", "activations", "weights"]
ACCESSES: tuple[Access, ...] = ("prompt", "conversation", "activations", "weights")
"""What somebody must reach to intervene, from the least to the most."""


class AdapterUse(Record):
    """A control vector or LoRA that is on while a model answers.

    Attributes:
        kind: ``vector`` is added to activations, ``lora`` to weights.
        sha256: of the adapter's file.
        strength: what it is multiplied by.
        layers: first and last block of a vector, counted from 0; None: all that it holds.
    """

    kind: Literal["vector", "lora"]
    sha256: Digest
    strength: float = Field(default=1.0, allow_inf_nan=False)
    layers: tuple[int, int] | None = None


class Provenance(Record):
    """Where an intervention comes from.

    Attributes:
        origin: ``written`` by a person, ``published`` by others, ``learnt`` from activations or
            gradients, ``searched`` for by queries, ``random`` for controls.
        method: how it was made; empty for written ones.
        model: the model that it was made on.
        scenarios: ids that it was made on; a run refuses to test it on them.
        budget: queries that were spent.
        sha256: of the artefact that holds it.
    """

    origin: Literal["written", "published", "learnt", "searched", "random"] = "written"
    method: str = ""
    model: str = ""
    scenarios: tuple[Name, ...] = ()
    budget: int | None = Field(default=None, ge=0)
    sha256: Digest | None = None


class Intervention(Record):
    """What is done to a model or to what it is asked.

    Attributes:
        name: the column ``intervention``.
        family: means of one kind, ``suffix`` or ``direction`` for example.
        access: what it takes to do it.
        strength: how hard, on the family's own scale; None where it has none.
        edits: on the conversation, in the order they are made.
        adapters: on the weights or activations, in the order they are added.
        provenance: where it comes from.
        control_of: the intervention that this one is a control of.
    """

    name: Name
    family: Name = "suffix"
    access: Access = "prompt"
    strength: float | None = None
    edits: tuple[Edit, ...] = ()
    adapters: tuple[AdapterUse, ...] = ()
    provenance: Provenance = Provenance()
    control_of: Name | None = None

    def apply(self, conversation: Conversation) -> Conversation:
        """Return the conversation with every edit made, in order."""
        for edit in self.edits:
            conversation = edit.apply(conversation)
        return conversation

    @property
    def words(self) -> str:
        """Every text that the intervention adds, for readers; empty where it adds none."""
        parts: list[str] = []
        for edit in self.edits:
            if edit.kind == "turns":
                parts += [f"{m.role.capitalize()}: {m.content}" for m in edit.messages]
            else:
                parts.append(edit.text)
        return "\n\n".join(part for part in parts if part)


def widest(accesses: Iterable[Access]) -> Access:
    """Return the access that reaches furthest; the least where there is none."""
    return max(accesses, key=ACCESSES.index, default="prompt")
