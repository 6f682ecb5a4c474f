"""What every judge is: a name, a whole definition, and a way to label completions."""

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from pydantic import model_validator

from steerability.protocol.base import Record
from steerability.protocol.response import JudgeInput
from steerability.support.canonical import canonical_json, sha256_text

_DECIMALS = 6


class Verdict(Record):
    """A judge's word on one input.

    Attributes:
        id: the input's id.
        label: an outcome of the judge's scale, or ``judge_failed``.
        reason: the cue, rule, margin or words that decided.
        probabilities: one number per outcome, summing to 1; None where the judge has none.
        answers: what an endpoint said on the way, kept in the store with the label.
    """

    id: str
    label: str
    reason: str
    probabilities: dict[str, float] | None = None
    answers: tuple[dict[str, Any], ...] = ()

    @model_validator(mode="after")
    def _probabilities_sum_to_one(self) -> "Verdict":
        given = self.probabilities
        if given is not None and abs(math.fsum(given.values()) - 1.0) > 1e-3:
            raise ValueError("the probabilities do not sum to 1")
        return self


class Judge(Protocol):
    """A judge; to add one, write such a class and name it in ``registry.py``."""

    @property
    def name(self) -> str:
        """The judge's kind, as ``--judge`` takes it."""

    @property
    def definition(self) -> Mapping[str, Any]:
        """All that can change a label, as JSON: rubric, weights or model name, parameters.

        A field ``note`` says in words what the labels are not good for, where that must be shown
        beside them; ``measures_nothing`` is true for a judge that only exercises the path.
        """

    def label(self, inputs: Sequence[JudgeInput]) -> Iterator[Verdict]:
        """Yield one verdict per input, in any order, each as soon as it is there."""


@runtime_checkable
class Settling(Protocol):
    """What a judge has whose definition depends on all it is asked, found in the store or not."""

    def settle(self, inputs: Sequence[JudgeInput]) -> None:
        """Decide it; called once, before ``definition`` is read."""


def content_of(item: JudgeInput) -> dict[str, str]:
    """Return what a label depends on of a completion: all but its id, the texts by digest."""
    return {
        "completion_sha256": sha256_text(item.response),
        "prompt_sha256": sha256_text(item.prompt),
        "context_sha256": sha256_text(item.context),
        "category": item.category,
    }


def label_key(item: JudgeInput, definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return the store's key of a label: the completion, what was shown with it, the judge.

    The id is no part of it: the same completion to the same prompt is judged once.

    Args:
        item: the completion with the texts the judge is shown.
        definition: the judge's whole definition.
    """
    key: dict[str, Any] = {"kind": "label", **content_of(item), "judge": dict(definition)}
    return key | ({"finish_reason": item.finish_reason} if item.filtered else {})


def label_names(items: Iterable[JudgeInput], definition: Mapping[str, Any]) -> list[str]:
    """Return the names of labels in the store: the digests of their keys.

    The same as ``digest(label_key(...))`` of each; the definition, which may be a whole rubric, is
    written as canonical JSON once and not for every label.
    """
    written = canonical_json(dict(definition))
    names = []
    for item in items:
        key = label_key(item, {})
        before = canonical_json({name: key[name] for name in key if name < "judge"})
        after = canonical_json({name: key[name] for name in key if name > "judge"})
        whole = before[:-1] + b',"judge":' + written + b"," + after[1:]
        names.append(hashlib.sha256(whole).hexdigest())
    return names


def softmax(scores: Sequence[float]) -> list[float]:
    """Return exp(s)/sum(exp(s)), in plain double precision, so that no SIMD choice enters."""
    top = max(scores)
    powers = [math.exp(score - top) for score in scores]
    total = math.fsum(powers)
    return [power / total for power in powers]


def rounded(labels: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    """Return probabilities by label, rounded to six decimals."""
    return {
        label: round(float(value), _DECIMALS) for label, value in zip(labels, values, strict=True)
    }
