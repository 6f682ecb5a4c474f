"""The cases that a task puts to a model, checked for what the task needs of them."""

from steerability.protocol.task import Task
from steerability.suites.model import Case, Suite
from steerability.support.errors import UserError


def cases_for(suite: Suite, task: Task) -> tuple[Case, ...]:
    """Return the scenarios of a suite that a task is about, or their twins.

    Args:
        suite: the task's.
        task: what is measured.

    Raises:
        UserError: no scenario is of the task's split, or one lacks the twin or the answers that
            the task needs; names it.
    """
    where = f"suite {task.suite}"
    try:
        cases = suite.cases(task.side, task.split)
    except ValueError as error:
        raise UserError(
            f"{error}, which the task {task.name} needs",
            where=where,
            mend="write one, or leave the task out",
        ) from error
    if not cases:
        raise UserError(
            f"no scenario is of the split {task.split}, which the task {task.name} needs",
            where=where,
            mend="let more scenarios of each category take part, or leave the split out",
        )
    lacking = next((case.scenario for case in cases if case.answers is None), None)
    if task.measure == "choose" and lacking is not None:
        whose = "twin of the scenario" if task.side == "twins" else "scenario"
        raise UserError(
            f"the {whose} {lacking} has no answers, which the task {task.name} needs",
            where=where,
            mend="write both answers, or leave the task out",
        )
    return cases
