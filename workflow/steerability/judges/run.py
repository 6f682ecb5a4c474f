"""Running a judge over responses, with the store between them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from steerability.judges.base import Judge, Settling, Verdict, label_key, label_names
from steerability.protocol.label import Label
from steerability.protocol.request import FILTERED, REFUSED
from steerability.protocol.response import JudgeInput
from steerability.protocol.scale import BEHAVIOUR, JUDGE_FAILED, Scale
from steerability.support.console import Progress
from steerability.support.errors import UserError
from steerability.support.jsonl import read_records
from steerability.support.store import Store

_FIELDS = ("label", "reason", "probabilities")

_NOT_ITS_OWN = {
    FILTERED: "not judged: the endpoint's filter kept back the model's own text, or part of it",
    REFUSED: "not judged: the endpoint refused the request",
}
_SHOWN = set(JudgeInput.model_fields)


class _Unsteered(JudgeInput):
    plain_context: str
    plain_prompt: str

    def shown(self) -> JudgeInput:
        """Return the cell without what the intervention added."""
        own = self.model_dump(include=_SHOWN)
        return JudgeInput(**own | {"context": self.plain_context, "prompt": self.plain_prompt})


def read_cells(path: Path, *, blind: bool = False) -> list[JudgeInput]:
    """Return the responses of a JSON-lines file.

    Args:
        path: one object a line with ``id, category, context, prompt, response``; of further fields
            only ``finish_reason`` is read, which tells what an endpoint filtered or refused.
        blind: show the judge ``plain_context`` and ``plain_prompt``, without what the
            intervention added.

    Raises:
        UserError: the file cannot be read, a line does not fit, or an id comes twice.
    """
    cells: list[JudgeInput] = list(read_records(path, _Unsteered if blind else JudgeInput))
    if blind:
        cells = [cell.shown() for cell in cells if isinstance(cell, _Unsteered)]
    counts = Counter(cell.id for cell in cells)
    twice = next((identity for identity, count in counts.items() if count > 1), None)
    if twice is not None:
        raise UserError(f"the id {twice} comes twice", where=path, mend="ids name one cell each")
    return cells


def run_judge(
    judge: Judge,
    cells: Sequence[JudgeInput],
    *,
    scale: Scale = BEHAVIOUR,
    name: str | None = None,
    store: Store | None = None,
    log: Path | None = None,
) -> list[Label]:
    """Label every cell, each label made once for all that ask for it.

    Args:
        judge: the judge.
        cells: the responses.
        scale: what it chooses from.
        name: what the labels call the judge; by default its kind.
        store: where labels are looked up and kept as soon as each is made; None keeps none.
        log: a file for the plain lines.

    Returns:
        One label per cell, in the order of ``cells``.
    """
    if isinstance(judge, Settling):
        judge.settle([cell for cell in cells if not cell.filtered])
    keys = [label_key(cell, judge.definition) for cell in cells]
    names = label_names(cells, judge.definition)

    def fits(value: Any) -> None:
        _check(Verdict(id="stored", **{field: value[field] for field in _FIELDS}), scale)

    values: dict[str, dict[str, Any]] = {}
    wanted: dict[str, int] = {}
    for place, (key, object_name) in enumerate(zip(keys, names, strict=True)):
        if object_name in values or object_name in wanted:
            continue
        found = store.get(key, fits=fits) if store is not None else None
        if found is not None:
            values[object_name] = found
        else:
            wanted[object_name] = place
    made = len(wanted)
    if store is not None and wanted:
        store.check_writable()
    place_of = {cells[place].id: place for place in wanted.values()}
    with Progress("judge", made, log=log, unit="") as progress:
        try:
            for verdict in _verdicts(judge, [cells[place] for place in wanted.values()]):
                place = place_of.pop(verdict.id)
                values[names[place]] = _value(verdict, scale)
                if store is not None:
                    store.put(keys[place], values[names[place]])
                progress.advance()
        except BaseException:
            arrived = made - len(place_of)
            note = "stopped" + ("" if store is None else "; what arrived is in the store")
            progress.close_with(len(cells), len(cells) - made, arrived, note)
            raise
        if place_of:
            raise RuntimeError(f"{judge.name} gave no verdict on {', '.join(sorted(place_of))}")
        labels = [
            Label(
                id=cell.id,
                judge=name or judge.name,
                key=object_name,
                **_fields(values[object_name], scale),
            )
            for cell, object_name in zip(cells, names, strict=True)
        ]
        failed = sum(label.label == JUDGE_FAILED for label in labels)
        note = f"{failed} judge_failed" if failed else ""
        extra = getattr(judge, "closing_note", "")
        note = ", ".join(part for part in (note, extra) if part)
        progress.close_with(len(cells), len(cells) - made, made, note)
    return labels


def _verdicts(judge: Judge, cells: Sequence[JudgeInput]) -> Iterator[Verdict]:
    """Yield a judge's verdicts; what an endpoint filtered or refused is not put to it."""
    for cell in cells:
        if cell.filtered:
            yield Verdict(id=cell.id, label=JUDGE_FAILED, reason=_NOT_ITS_OWN[cell.finish_reason])
    yield from judge.label([cell for cell in cells if not cell.filtered])


def _fields(value: Mapping[str, Any], scale: Scale) -> dict[str, Any]:
    """Return a label's fields, its probabilities in the order of the scale."""
    fields = {field: value[field] for field in _FIELDS}
    if given := fields["probabilities"]:
        fields["probabilities"] = {name: given[name] for name in scale.names if name in given}
    return fields


def _check(verdict: Verdict, scale: Scale) -> None:
    """Check that a verdict keeps to a scale.

    Raises:
        ValueError: a label is none of the scale.
    """
    off = {verdict.label, *(verdict.probabilities or ())} - set(scale.labels)
    if off:
        raise ValueError(f"{min(off)} is no label of the scale {scale.name}")


def _value(verdict: Verdict, scale: Scale) -> dict[str, Any]:
    """Return what is stored of a verdict.

    Raises:
        ValueError: the judge left its scale; nothing of that is stored.
    """
    _check(verdict, scale)
    value: dict[str, Any] = {field: getattr(verdict, field) for field in _FIELDS}
    if verdict.answers:
        value["answers"] = list(verdict.answers)
    return value
