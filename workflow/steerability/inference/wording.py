"""The paper's three hypotheses in words, with the names of a run's own interventions."""

from typing import NamedTuple

from steerability.config.study import Study
from steerability.protocol.scale import Scale

STATEMENTS = {
    "A": "High capability does not imply low steerability.",
    "B": "With capability, interventions suppress less reliably.",
    "C": "The gap between authorised and unauthorised steerability persists.",
}
SUBJECTS = {
    "A": "The larger models' gap minus the smaller ones' is",
    "B": "{Event} under {suppress}, larger minus smaller models, differs by",
    "C": "The lesser of the larger models' two shifts is",
    "shift": "The shift of the larger models is",
    "gap": "The larger models' unauthorised shift minus their authorised shift is",
}
SAID = {
    "A": {
        "supported": "a loss of {margin} points of steerability or more with size is excluded "
        "for these models and interventions.",
        "contradicted": "a loss of more than {margin} points of steerability with size is shown.",
        "undecided": "a loss of {margin} points of steerability with size is neither excluded "
        "nor shown.",
    },
    "B": {
        "supported": "under {suppress} the larger models show {event} more often.",
        "contradicted": "under {suppress} the larger models show {event} less often.",
        "undecided": "these counts do not tell the sizes apart.",
    },
    "C": {
        "supported": "the interventions still move the larger models both ways, to less and to "
        "more {event} than under {baseline}.",
        "contradicted": "in one direction the intervention moves the larger models against its "
        "purpose.",
        "undecided": "these counts do not show that the interventions move the larger models both "
        "ways.",
    },
    "shift": {
        "supported": "the intervention moves these models in the direction of its purpose.",
        "contradicted": "the intervention moves these models against its purpose.",
        "undecided": "these counts do not show that the intervention moves these models.",
    },
    "gap": {
        "supported": "{amplify} moves the larger models further than {suppress} does.",
        "contradicted": "{suppress} moves the larger models further than {amplify} does.",
        "undecided": "these counts do not tell the two shifts apart.",
    },
}


class Roles(NamedTuple):
    """The headline's intervention of each role; None where the design has none."""

    amplify: str | None
    baseline: str | None
    suppress: str | None

    @classmethod
    def of(cls, study: Study) -> "Roles":
        """Return the roles of a study's headline."""
        design = study.design
        return cls(
            next(iter(design.amplify), None), design.baseline, next(iter(design.suppress), None)
        )

    def word(self, role: str) -> str:
        """Return the name of a role's intervention, or the role where it has none."""
        return str(getattr(self, role) or role)

    def fill(self, text: str, scale: Scale, margin: float) -> str:
        """Put the names, the event and the margin in the places of a text."""
        event = scale.outcome(scale.event).words
        names = {role: self.word(role) for role in self._fields}
        return text.format(event=event, Event=event.capitalize(), margin=f"{margin:g}", **names)
