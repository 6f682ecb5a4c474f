"""Cells, completions and labels made from counts, for tests of score, analyse and figures."""

import hashlib
from collections.abc import Mapping, Sequence

from steerability.protocol.records import Completion, Label
from steerability.score.cells import CellRow

MODEL = ("alpha", "1B", "Base")
CODES = {
    "c": "convergence",
    "n": "no_convergence",
    "r": "safety_refusal",
    "x": "nonsensical",
    "f": "judge_failed",
}


def completion(
    model: tuple[str, str, str], intervention: str, at: int, categories: int = 1, **more: object
) -> Completion:
    """One completion; scenario ``s000`` belongs to category ``c0`` and so on, in turn."""
    name, size, stage = model
    response = f"{name} {intervention} {at}"
    values = {
        "model": name,
        "size": size,
        "stage": stage,
        "intervention": intervention,
        "suite": "made",
        "category": f"c{at % categories}",
        "scenario": f"s{at:03d}",
        "id": f"{name}/{intervention}/s{at:03d}",
        "context": "context",
        "prompt": "prompt",
        "scenario_prompt": "prompt",
        "response": response,
        "completion_sha256": hashlib.sha256(response.encode()).hexdigest(),
        "key": "0" * 64,
        **more,
    }
    return Completion.model_validate(values)


def label(of: Completion, name: str, judge: str = "rules") -> Label:
    return Label.model_validate(
        {"id": of.id, "label": name, "reason": "made", "judge": judge, "key": "1" * 64}
    )


def cells(
    labels: Mapping[str, str],
    model: tuple[str, str, str] = MODEL,
    judge: str = "rules",
    categories: int = 1,
    **more: object,
) -> list[CellRow]:
    """Rows of one model and judge: intervention to one letter of ``CODES`` per scenario."""
    rows = []
    for intervention, letters in labels.items():
        for at, letter in enumerate(letters):
            made = completion(model, intervention, at, categories, **more).model_dump()
            kept = {k: v for k, v in made.items() if k in CellRow.model_fields}
            rows.append(CellRow.model_validate({**kept, "judge": judge, "label": CODES[letter]}))
    return rows


def published(counts: Mapping[str, tuple[int, int, int]], n: int = 71) -> dict[str, str]:
    """Letters with the given counts: intervention to (converged, refused, valid) of n outputs."""
    letters = {}
    for intervention, (converged, refused, valid) in counts.items():
        plain = valid - converged - refused
        letters[intervention] = "c" * converged + "r" * refused + "n" * plain + "x" * (n - valid)
    return letters


def discordant(both: int, only_a: int, only_b: int, neither: int) -> Sequence[str]:
    """Two strings of letters whose paired table has these counts."""
    a = "c" * both + "c" * only_a + "n" * only_b + "n" * neither
    b = "c" * both + "n" * only_a + "c" * only_b + "n" * neither
    return a, b
