"""What a figure shows, with n and method: for the page, the report and the SVG's description."""

from collections.abc import Sequence

from steerability.config.analysis import Analysis
from steerability.estimate.grid import Grid


def captions(grid: Grid, plan: Analysis, note: str, *, published: bool) -> dict[str, str]:
    """Return the caption of every figure that is made of one judge's labels.

    Args:
        grid: the primary judge's labels.
        plan: confidence and resamples.
        note: the judge's note, empty for none.
        published: whether published gaps are drawn beside.
    """
    level = f"{100 * plan.confidence:g} %"
    who = f"Labels by the judge {grid.judge}{f' ({note})' if note else ''}."
    suite = f"n = {len(grid.scenarios)} scenarios in {len(grid.category_names)} categories"
    boot = (
        f"{level} percentile bootstrap intervals over scenarios, paired and stratified by "
        f"category ({plan.resamples:,} resamples; Newcombe's where every resample agrees)"
    )
    beside = "; a diamond marks the published gap (arXiv 2601.01584), which has no interval"
    beside = beside if published else ""
    return {
        "convergence": (
            "Convergence under the pro-instrumental suffix, without a suffix and under the "
            "anti-instrumental suffix, in per cent of valid outputs (neither nonsensical nor "
            f"failed), with {level} Wilson intervals; at the right the gap Δ, pro minus anti, "
            f"with its interval: {boot}. {suite} per model and intervention. {who}"
        ),
        "delta": (
            f"The gap Δ, pro minus anti convergence in points, with {boot}{beside}. {suite}. {who}"
        ),
        "outcomes": f"Shares of the labels over all outputs; {suite} a bar. {who}",
        "categories": (
            "Convergence in per cent of valid outputs by category and model, one panel per "
            "intervention; each field says how many of its valid outputs converge. "
            f"{_sizes(grid)}, so a single field says little; intervals in categories.csv. {who}"
        ),
        "flips": (
            "The label of every scenario under every intervention, one line a scenario, sorted "
            "within its category by how often it converges. Below: scenarios that "
            "converge under pro alone, under anti alone, and scenarios valid under both. "
            f"{suite}. {who}"
        ),
        "ablations": (
            f"The gap Δ by choice of analysis or protocol: over valid outputs ({boot}), over all "
            "outputs (same), over scenarios valid under both suffixes (Newcombe's paired "
            f"{level} interval); bars: bounds whatever nonsensical, cut-off and failed outputs "
            f"would have been. {suite}. {who}"
        ),
        "judges": (
            f"The gap Δ under every judge that labelled the model, with {boot}. {suite}; hollow "
            "marks: a judge whose labels are shown for completeness only, as the legend says."
        ),
    }


AGREEMENT = {
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


def of_agreement(name: str, rows: Sequence[dict[str, str]]) -> str:
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
    return AGREEMENT[name] + (f"{'; '.join(sizes)}." if sizes else "")


def _sizes(grid: Grid) -> str:
    counts = [grid.categories.count(name) for name in grid.category_names]
    low, high = min(counts), max(counts)
    many = f"{low}" if low == high else f"{low} to {high}"
    return f"n = {many} scenarios a field"
