"""Which figures a run has and what they are called: the rules and the verb ask the same place."""

from typing import NamedTuple

from steerability.config.study import Study
from steerability.protocol.task import Task
from steerability.report.long_tables import main_task

OF_TASK = ("outcomes", "categories", "flips")
OF_MAIN = ("delta", "judges", "ablations")
OF_JUDGES = ("agreement", "confusion", "calibration")
KINDS = ("rates", *OF_TASK, *OF_MAIN, "log_odds", "shifts", "steering", "matrix", *OF_JUDGES)


class Named(NamedTuple):
    """A figure: its file's name, what kind of figure it is, and its task where it is of one."""

    name: str
    kind: str
    task: str = ""

    @property
    def title(self) -> str:
        """What readers call the figure."""
        words = _TITLES[self.kind]
        return f"{words}, task {self.task}" if "-" in self.name and self.task else words


_TITLES = {
    "rates": "Rates under each intervention and the gap",
    "delta": "The gap beside the published one",
    "outcomes": "Shares of the labels",
    "categories": "Rates by category and model",
    "flips": "Every scenario under every intervention",
    "judges": "The gap under every judge",
    "ablations": "The gap by choice of analysis or protocol",
    "log_odds": "Log-odds of every scenario by intervention",
    "shifts": "Shifts by task",
    "steering": "Every intervention by access",
    "matrix": "Defences against attacks",
    "agreement": "Agreement of the judges with the reference",
    "confusion": "Confusion matrices of the judges",
    "calibration": "Calibration of the judges",
}


def figures_of(study: Study, *, measured: bool, matrix: bool = False) -> tuple[Named, ...]:
    """Return the figures of a run, in the order of reading.

    Figures of the main task have plain names; those of a further one end in ``-TASK``. Rates are
    named for the outcome that they are of, such as ``convergence``.

    Args:
        study: the run's tasks and scales.
        measured: whether judges were measured against a reference.
        matrix: whether there is a table of defences against attacks.
    """
    main = main_task(study)
    found: list[Named] = []
    if main is not None:
        found += [_named("rates", main, study, main=True)]
        found += [Named(kind, kind, main.name) for kind in ("delta", *OF_TASK, *OF_MAIN[1:])]
    found += [Named("shifts", "shifts"), Named("steering", "steering")]
    for at, task in enumerate(study.chosen):
        found.append(_named("log_odds", task, study, main=at == 0))
    for task in study.labelled:
        if task != main:
            judged = ("judges",) if len(task.judges) > 1 else ()
            kinds = ("rates", *OF_TASK, *judged)
            found += [_named(kind, task, study, main=False) for kind in kinds]
    found += [Named("matrix", "matrix")] if matrix else []
    return (*found, *(Named(kind, kind) for kind in OF_JUDGES if measured))


def _named(kind: str, task: Task, study: Study, *, main: bool) -> Named:
    name = kind
    if kind == "rates":
        event = study.scale(task.scale).event
        # an outcome may be called as a figure is
        name = f"{event}-rate" if event in KINDS else event
    return Named(name if main else f"{name}-{task.name}", kind, task.name)
