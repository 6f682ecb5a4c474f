"""What readers call things: labels with their colours, roles, the two answers of a choice."""

from steerability.config.study import Study
from steerability.protocol.design import Design
from steerability.protocol.scale import BEHAVIOUR, JUDGE_FAILED, SCALES, Scale
from steerability.protocol.scenario import Answers, TwinAnswers
from steerability.protocol.task import Task

_CYCLE = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#D55E00", "#0072B2")


def capital(words: str) -> str:
    """Return words with a capital at their beginning."""
    return words[:1].upper() + words[1:]


def labels_of(scale: Scale) -> dict[str, str]:
    """Return the labels of a scale by name, as readers see them, ``judge_failed`` last."""
    failed = JUDGE_FAILED.replace("_", " ")
    return {
        label: capital(failed if label == JUDGE_FAILED else scale.outcome(label).words)
        for label in scale.labels
    }


def outcome_colour(scale: Scale, label: str) -> str | None:
    """Return the colour of a label; None: the ink's own, which a failed judge has."""
    if label == JUDGE_FAILED:
        return None
    named = scale.outcome(label).colour
    return named or _CYCLE[scale.labels.index(label) % len(_CYCLE)]


def role_words(design: Design, intervention: str) -> str:
    """Return what an intervention is for; empty for one without a role."""
    role = design.role(intervention)
    return {"amplify": "towards the event", "suppress": "away from the event"}.get(role, role)


def answer_names(study: Study, task: Task) -> tuple[str, str]:
    """Return what the two answers of a choice are called; log-odds are of the first."""
    if task.side == "twins":
        first, second = TwinAnswers.model_fields
        return first, second
    scale = SCALES.get(task.scale)
    if scale is not None and scale != BEHAVIOUR:
        names = [outcome.words for outcome in scale.outcomes]
        return names[0], names[1]
    first, second = Answers.model_fields
    return first, second
