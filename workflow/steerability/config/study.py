"""What statistics and reports must know of a run: its tasks, scales, roles and declared tests."""

from collections.abc import Sequence
from typing import TypeVar

from pydantic import Field, model_validator

from steerability.config.analysis import Analysis
from steerability.config.catalogue import JudgeUse, TaskSection
from steerability.config.model import Config
from steerability.protocol.base import Count, Name, Record
from steerability.protocol.design import Design
from steerability.protocol.scale import BEHAVIOUR, SCALES, Scale
from steerability.protocol.task import BEHAVIOUR_TASK, Task
from steerability.support.errors import UserError

NamedT = TypeVar("NamedT", Task, Scale)


class Study(Record):
    """A run's design, resolved: no name in it needs the config any more.

    Attributes:
        tasks: in the config's order; the judges of each, the primary one first.
        scales: of the tasks' labels.
        interventions: every intervention of the run, in its order.
        design: their roles.
        samples: replies to each request.
        notes: judge to a warning that is shown wherever the judge is.
        remark: a sentence that ends the captions of tables; empty for none.
        analysis: what is tested.
    """

    tasks: tuple[Task, ...] = (Task(name=BEHAVIOUR_TASK, suite="suite"),)
    scales: tuple[Scale, ...] = (BEHAVIOUR,)
    interventions: tuple[Name, ...] = ()
    design: Design = Design()
    samples: Count = 1
    notes: dict[str, str] = Field(default_factory=dict)
    remark: str = ""
    analysis: Analysis = Field(default_factory=Analysis)

    @model_validator(mode="after")
    def _scales_are_there(self) -> "Study":
        known = {scale.name for scale in self.scales}
        for task in self.labelled:
            if task.scale not in known:
                raise ValueError(f"task {task.name} has a scale that is not there: {task.scale}")
        return self

    def less(self, *names: str) -> "Study":
        """Return the study with the defaults of some fields, which do not concern a reader."""
        default = Study()
        return self.model_copy(update={name: getattr(default, name) for name in names})

    def task(self, name: str) -> Task:
        """Return a task by its name.

        Raises:
            UserError: the study has no such task.
        """
        return _named("task", name, self.tasks)

    def scale(self, name: str) -> Scale:
        """Return a scale by its name.

        Raises:
            UserError: the study has no such scale.
        """
        return _named("scale", name, self.scales)

    @property
    def labelled(self) -> tuple[Task, ...]:
        """The tasks whose replies are labelled by judges."""
        return tuple(task for task in self.tasks if task.measure == "generate")

    @property
    def chosen(self) -> tuple[Task, ...]:
        """The tasks that are forced choices."""
        return tuple(task for task in self.tasks if task.measure == "choose")


def _named(kind: str, name: str, known: Sequence[NamedT]) -> NamedT:
    for one in known:
        if one.name == name:
            return one
    there = ", ".join(one.name for one in known) or "none"
    raise UserError(f"the study has no {kind} {name}", mend=f"it has: {there}")


def task_section(config: Config, name: str) -> TaskSection:
    """Return what a config says of a task of its run."""
    return config.catalogue.tasks.get(name, TaskSection())


def models_of(config: Config, task: str, use: JudgeUse | None = None) -> tuple[str, ...]:
    """Return the models that a task is put to, or those of them that a judge labels."""
    asked = task_section(config, task).models or config.models
    labelled = config.models if use is None or use.models is None else use.models
    return tuple(name for name in asked if name in labelled)


def judges_of(config: Config, task: str) -> tuple[JudgeUse, ...]:
    """Return the judges of a task, the primary one first; none for a choice."""
    section = task_section(config, task)
    if section.measure == "choose":
        return ()
    uses = section.judges or config.judges
    primary = section.primary_judge
    if primary is None:
        primary = uses[0].judge if section.judges else config.primary_judge
    first = [use for use in uses if use.judge == primary]
    return (*first, *(use for use in uses if use.judge != primary))


def tasks_of(config: Config) -> tuple[Task, ...]:
    """Return the tasks of a run, in its order."""
    found = []
    for name in config.tasks:
        section = task_section(config, name)
        found.append(
            Task(
                name=name,
                suite=section.suite or config.suite,
                side=section.side,
                split=section.split,
                measure=section.measure,
                scale=section.scale,
                judges=tuple(use.judge for use in judges_of(config, name)),
                models=section.models,
            )
        )
    return tuple(found)


def design_of(config: Config) -> Design:
    """Return the roles of the run's interventions, one name for each that an entry stands for."""
    of_entry: dict[str, list[str]] = {}
    for variant in config.variants():
        of_entry.setdefault(variant.entry, []).append(variant.name)
    names = {name for found in of_entry.values() for name in found}

    def spread(name: str) -> list[str]:
        return of_entry.get(name, [name])

    base = config.design.baseline
    return Design(
        baseline=spread(base)[0] if base else None,
        amplify=tuple(one for name in config.design.amplify for one in spread(name)),
        suppress=tuple(one for name in config.design.suppress for one in spread(name)),
    ).among(names)


def study_of(config: Config, remark: str = "") -> Study:
    """Return the study of a run.

    Args:
        config: the run.
        remark: what its tables must say besides.
    """
    tasks = tasks_of(config)
    known = {**SCALES, **config.catalogue.scales}
    scales = dict.fromkeys(task.scale for task in tasks if task.measure == "generate")
    judges = dict.fromkeys(judge for task in tasks for judge in task.judges)
    notes = {name: config.catalogue.judges[name].note for name in judges}
    return Study(
        tasks=tasks,
        scales=tuple(known[name] for name in scales),
        interventions=tuple(variant.name for variant in config.variants()),
        design=design_of(config),
        samples=config.samples,
        notes={name: note for name, note in notes.items() if note},
        remark=remark,
        analysis=config.analysis,
    )
