"""Outputs joined to the cells of their plan."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from steerability.protocol.records import Completion, Output, PlannedRequest
from steerability.support.canonical import sha256_text
from steerability.support.errors import UserError
from steerability.support.jsonl import read_records

RecordT = TypeVar("RecordT", PlannedRequest, Output)


def completion(planned: PlannedRequest, output: Output) -> Completion:
    """Return the row of a cell from its request and its output."""
    return Completion(
        **planned.cell.model_dump(),
        id=planned.id,
        context=planned.context,
        prompt=planned.steered_prompt,
        scenario_prompt=planned.scenario_prompt,
        response=output.text,
        thinking=output.thinking,
        finish_reason=output.finish_reason,
        prompt_tokens=output.prompt_tokens,
        completion_tokens=output.completion_tokens,
        truncated=output.truncated,
        thinking_cut=output.thinking_cut,
        completion_sha256=sha256_text(output.text),
        key=output.key,
    )


def join(
    request_files: Sequence[Path],
    output_files: Sequence[Path],
    scenarios: Sequence[str],
    interventions: Sequence[str],
) -> list[Completion]:
    """Join a model's request shards and output shards, in an order that no split shows in.

    Args:
        request_files: the shards of the plan.
        output_files: their outputs.
        scenarios: ids in the suite's order, the order of the rows.
        interventions: names in the config's order, in which those of a scenario follow each other.

    Raises:
        UserError: an id is missing, comes twice, or belongs to no request.
    """
    planned = _unique(request_files, PlannedRequest)
    outputs = _unique(output_files, Output)
    where = ", ".join(map(str, output_files))
    for wrong, what in (
        ([name for name in outputs if name not in planned], "belongs to no request of the plan"),
        ([name for name in planned if name not in outputs], "has no output"),
    ):
        if wrong:
            more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
            raise UserError(f"{wrong[0]} {what}{more}", where=where, mend="run generate again")
    rows = [completion(request, outputs[name]) for name, request in planned.items()]
    return sorted(
        rows, key=lambda row: (scenarios.index(row.scenario), interventions.index(row.intervention))
    )


def _unique(files: Iterable[Path], record: type[RecordT]) -> dict[str, RecordT]:
    found: dict[str, RecordT] = {}
    for file in files:
        for line in read_records(file, record):
            if line.id in found:
                raise UserError(f"{line.id} comes twice", where=file, mend="name each file once")
            found[line.id] = line
    return found
