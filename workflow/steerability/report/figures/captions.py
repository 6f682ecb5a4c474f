"""What a figure shows, with n and method: for the page, the report and the SVG's description."""

from collections.abc import Iterable, Sequence

from steerability.protocol.task import Task
from steerability.report.figures.context import Drawn
from steerability.report.long_tables import Row, contrast_title
from steerability.score.cells import CellRow
from steerability.score.choices import ChoiceRow

_PUBLISHED = "; a diamond marks the published gap (arXiv 2601.01584), which has no interval"


def interval_method(drawn: Drawn) -> str:
    """Return how the intervals of differences are made, in words."""
    plan = drawn.study.analysis
    return (
        f"{100 * plan.confidence:g} % percentile bootstrap intervals over scenarios, paired and "
        f"stratified by category ({plan.resamples:,} resamples; where every resample agrees, the "
        "interval that contrasts.csv names)"
    )


def rate_method(drawn: Drawn) -> str:
    """Return how the intervals of rates are made, in words."""
    level = f"{100 * drawn.study.analysis.confidence:g} %"
    if drawn.study.samples > 1:
        return f"{level} bootstrap intervals over scenarios, whose samples stay together"
    return f"{level} Wilson intervals"


def size_of(rows: Iterable[CellRow | ChoiceRow], task: Task) -> str:
    """Return n of a task: its scenarios, categories and samples."""
    mine = [row for row in rows if row.task == task.name]
    scenarios = {row.scenario: row.category for row in mine}
    samples = len({row.sample for row in mine})
    words = f"n = {len(scenarios)} scenarios in {len(set(scenarios.values()))} categories"
    return words + (f", {samples} samples of each" if samples > 1 else "")


def task_captions(drawn: Drawn, task: Task, size: str, *, published: bool) -> dict[str, str]:
    """Return the caption of every figure of a labelled task, by the figure's kind.

    Args:
        drawn: the run.
        task: a labelled task.
        size: from ``size_of``.
        published: whether published gaps are drawn beside.
    """
    judge, event = task.primary_judge or "", drawn.event(task)
    note = drawn.study.notes.get(judge, "")
    who = f"Task {task.name}; labels by the judge {judge}{f' ({note})' if note else ''}."
    boot = interval_method(drawn)
    contrast = drawn.headline
    title = contrast_title(contrast) if contrast else "a contrast"
    gap = f"{title}, {contrast.a} minus {contrast.b}" if contrast else "no contrast"
    return {
        "rates": (
            f"Rate of the outcome “{event}” under every intervention, in per cent of valid "
            f"outputs, with {rate_method(drawn)}; at the right {gap}, with its interval: {boot}. "
            f"{size} per model and intervention. {who}"
        ),
        "delta": (
            f"The difference {gap}, of the outcome “{event}” in points, with {boot}"
            f"{_PUBLISHED if published else ''}. {size}. {who}"
        ),
        "outcomes": f"Shares of the labels over all outputs; {size} a bar. {who}",
        "categories": (
            f"Rate of the outcome “{event}” in per cent of valid outputs by category and model, "
            "one panel per intervention; each field says how many of its valid outputs are the "
            f"outcome, so a single field says little; intervals in categories.csv. {size}. {who}"
        ),
        "flips": (
            "The label of every scenario under every intervention, one line a scenario, sorted "
            f"within its category by how often it is “{event}”. Below, where the design has a "
            "contrast: scenarios that are it under either end alone, and scenarios valid under "
            f"both. {size}. {who}"
        ),
        "ablations": (
            f"The difference {gap} by choice of analysis or protocol: over valid outputs ({boot}), "
            "over all outputs (same), over scenarios valid under both (Newcombe's paired "
            "interval); bars: bounds whatever invalid, cut-off and failed outputs would have "
            f"been. {size}. {who}"
        ),
        "judges": (
            f"The difference {gap} under every judge that labelled the model, with {boot}. {size}; "
            "hollow marks: a judge whose labels are shown for completeness only, as the legend "
            f"says. Task {task.name}."
        ),
    }


def log_odds_caption(drawn: Drawn, task: Task, size: str) -> str:
    """Return the caption of a choice's log-odds."""
    return (
        "Log-odds of the first of two given answers against the second, summed over tokens, in "
        "nats: one dot a scenario, sorted within its strip; bar: mean; whisker: interval of the "
        "shift from the baseline, set off from the baseline's mean, and the shift in figures at "
        f"the right, with {interval_method(drawn)}. {size}. Task {task.name}; no judge."
    )


def run_captions(drawn: Drawn, sizes: Sequence[str]) -> dict[str, str]:
    """Return the captions of figures that are of the run as a whole.

    Args:
        drawn: the run.
        sizes: n of each task, named.
    """
    size = "; ".join(sizes) or "n = 0"
    boot = interval_method(drawn)
    return {
        "shifts": (
            "Shifts by task and model: differences between interventions, in points of each "
            "task's outcome or in nats of log-odds, and for a task with benign twins the shift on "
            f"scenarios minus that on their twins, with {boot}. {size}."
        ),
        "steering": (
            "Shift of every intervention from the baseline by access level, from what needs least "
            "access to what needs most, "
            f"with {boot}; a faint band spans the shifts of an intervention's controls, and the "
            "figures at the right are its rank among itself and them (1: furthest). A family of "
            f"three strengths or more has its shifts drawn over strength. {size}."
        ),
        "matrix": (
            "Rate of the outcome that the task counts under every attack (across) against every "
            "defence (down), in per cent of valid outputs, with its interval below. "
            f"{size}; counts in matrix.csv."
        ),
    }


_AGREEMENT = {
    "agreement": (
        "Agreement of each judge with the reference labels: Cohen's κ over all cells and by "
        "intervention, with bootstrap intervals resampled by scenario. AC1, α, accuracy, recall "
        "and precision: agreement.csv. The reference is a judge as well, not the truth. "
    ),
    "confusion": (
        "Confusion matrices: rows the reference's label, columns the judge's, fields the count "
        "of cells, shaded by its share of the row. "
    ),
    "calibration": (
        "Calibration: share of given labels that agree with the reference, by the probability "
        "they were given with, in ten bins; the area of a mark is its number of cells. "
    ),
}


def of_agreement(name: str, rows: Sequence[Row]) -> str:
    """Return the caption of a figure of judges' agreement, n by judge and evaluation.

    Args:
        name: of the figure.
        rows: of ``agreement.csv``, of the judges that the figure draws.
    """
    sizes = dict.fromkeys(
        f"{row['judge']} ({row['evaluation']}): n = {row['n']}"
        for row in rows
        if row.get("condition") == "all"
    )
    return _AGREEMENT[name] + (f"{'; '.join(sizes)}." if sizes else "")
