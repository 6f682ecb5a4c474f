"""A judge's measured error, which stands wherever the judge does."""

from steerability.report.page.collect import Run

AGREEMENT = "agreement.csv"
NEVER = "never measured"
_HELD_OUT = {"scenario": ", scenarios held out", "model": ", a model held out"}
_STRICTNESS = ("all", "scenario", "model")


def measured_error(run: Run, judge: str) -> str:
    """Return Cohen's kappa with a reference, its interval and n; or that there is none.

    Of several evaluations the strictest one counts: cells of a model that a trained judge never
    saw, before those of scenarios that it never saw.

    Args:
        run: what the page shows.
        judge: its name.
    """
    if judge == run.study.analysis.reference_judge:
        return "the reference"
    rows = [
        row
        for row in run.further.get(AGREEMENT, [])
        if row["judge"] == judge and row["condition"] == "all" and row["kappa"]
    ]
    known = [row for row in rows if row["evaluation"] in _STRICTNESS]
    if not known:
        return NEVER
    row = max(known, key=lambda row: _STRICTNESS.index(row["evaluation"]))
    held = _HELD_OUT.get(row["evaluation"], "")
    interval = f" ({row['kappa_low']} to {row['kappa_high']})" if row["kappa_low"] else ""
    return f"κ {row['kappa']}{interval}, n = {int(row['n']):,}{held}"
