"""Outputs joined to the cells of their plan."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from steerability.protocol.request import ChoiceOutput, Output, OutputLine
from steerability.protocol.response import Choice, Planned, Response
from steerability.support.canonical import sha256_text
from steerability.support.errors import UserError
from steerability.support.jsonl import read_records


class Order(NamedTuple):
    """The order of rows: tasks and interventions as in the config, scenarios as in the suite."""

    tasks: Sequence[str]
    scenarios: Mapping[str, Sequence[str]]
    interventions: Sequence[str]


class Assembled(NamedTuple):
    """A model's responses and choices, each in the order of the run."""

    responses: list[Response]
    choices: list[Choice]


def response(planned: Planned, output: Output) -> Response:
    """Return the row of a cell from its plan and its output.

    Raises:
        UserError: the plan has answers to choose from.
    """
    if planned.answers is not None:
        raise UserError(f"{planned.id} is a choice, and was answered", where="outputs")
    return Response(
        **planned.cell.model_dump(),
        **planned.shown.model_dump(),
        id=planned.id,
        sent=planned.sent,
        plain=planned.plain,
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


def choice(planned: Planned, scored: ChoiceOutput) -> Choice:
    """Return the row of a choice from its plan and its scores.

    Raises:
        UserError: there are not two answers, or not two scores.
    """
    if planned.answers is None or len(scored.scores) != 2:
        raise UserError(f"{planned.id} is not a choice between two answers", where="outputs")
    first, second = scored.scores
    return Choice(
        **planned.cell.model_dump(),
        id=planned.id,
        scores=(first, second),
        answers=planned.answers,
        prompt_tokens=scored.prompt_tokens,
        key=scored.key,
    )


def join(planned_file: Path, output_files: Sequence[Path], order: Order) -> Assembled:
    """Join a model's plan and outputs, in an order that no split into shards shows in.

    Args:
        planned_file: what each request is about.
        output_files: what came back, shard by shard.
        order: of the rows; cells of tasks that it does not name are left out.

    Raises:
        UserError: an id is missing, comes twice, belongs to no request, or is of another kind.
    """
    planned = {one.id: one for one in read_records(planned_file, Planned)}
    outputs: dict[str, Output | ChoiceOutput] = {}
    for file in output_files:
        for line in read_records(file, OutputLine):
            if line.root.id in outputs:
                raise UserError(
                    f"{line.root.id} comes twice", where=file, mend="name each file once"
                )
            outputs[line.root.id] = line.root
    where = ", ".join(map(str, output_files))
    for wrong, what in (
        ([name for name in outputs if name not in planned], "belongs to no request of the plan"),
        ([name for name in planned if name not in outputs], "has no output"),
    ):
        if wrong:
            more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
            raise UserError(f"{wrong[0]} {what}{more}", where=where, mend="run generate again")
    found = Assembled([], [])
    for one in _sorted([one for one in planned.values() if one.cell.task in order.tasks], order):
        output = outputs[one.id]
        if isinstance(output, ChoiceOutput):
            found.choices.append(choice(one, output))
        else:
            found.responses.append(response(one, output))
    return found


def _sorted(planned: Sequence[Planned], order: Order) -> list[Planned]:
    tasks, interventions = (
        {name: at for at, name in enumerate(names)} for names in (order.tasks, order.interventions)
    )
    scenarios = {
        task: {name: at for at, name in enumerate(names)} for task, names in order.scenarios.items()
    }

    def place(one: Planned) -> tuple[int, int, int, int]:
        cell = one.cell
        scenario = scenarios[cell.task][cell.scenario]
        return tasks[cell.task], scenario, interventions[cell.intervention], cell.sample

    return sorted(planned, key=place)
