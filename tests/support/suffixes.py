"""Suffixes as interventions, read as a run reads them."""

from pathlib import Path

from steerability.inputs.interventions import Part, Recipe, load_recipe
from steerability.protocol.conversation import Conversation
from steerability.protocol.intervention import Intervention


def suffix(name: str, path: Path | None) -> Intervention:
    """Return the intervention that puts a file's text after the question; None puts none."""
    part = Part(kind="append", file=str(path or ""))
    return load_recipe(Recipe(name=name, family="suffix", parts=(part,)))


def asked(intervention: Intervention, prompt: str) -> str:
    """Return the user message that an intervention makes of a prompt."""
    return intervention.apply(Conversation(question=prompt)).question
