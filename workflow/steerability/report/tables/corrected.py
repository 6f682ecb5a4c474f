"""Table 1 as judged and as corrected for judge error, side by side."""

from collections.abc import Mapping, Sequence

from steerability.config.analysis import Analysis
from steerability.estimate.grid import Model
from steerability.inference.corrected import METHODS
from steerability.report.tables.names import short_names
from steerability.report.tables.render import DASH, markdown_grid
from steerability.support.tables import Field


def corrected_markdown(
    rows: Sequence[Mapping[str, Field]], plan: Analysis, notes: Mapping[str, str]
) -> str:
    """Return Table 1's gap as judged and as corrected, side by side."""
    if not rows:
        return "No judge of this run has labels beside a reference: nothing is corrected.\n"
    models = list(
        dict.fromkeys(Model(str(r["model"]), str(r["size"]), str(r["stage"])) for r in rows)
    )
    names = dict(zip((model.name for model in models), short_names(models), strict=True))
    body: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        if row["quantity"] not in ("pro", "anti", "delta"):
            continue
        key = (str(row["judge"]), str(row["model"]), str(row["quantity"]))
        line = body.setdefault(
            key, [str(row["as_judged"] or DASH), str(row["reference_value"] or DASH)]
        )
        value = row["corrected"]
        span = "" if row["low"] is None else f" ({row['low']} to {row['high']})"
        line.append(DASH if value is None else f"{value}{span}")
    header = ["judge", "model", "quantity", "as judged", "reference"]
    header += [method.replace("_", "-") for method in METHODS]
    marked = {judge: f"{judge}*" if judge in notes else judge for judge, _, _ in body}
    lines = [[marked[j], names[m], q, *line] for (j, m, q), line in body.items()]
    reference = rows[0]["reference"]
    text = markdown_grid(header, lines)
    text += (
        f"\n\nConvergence in % of valid outputs and its gap, corrected to the labels of "
        f"{reference}, which are that judge's labels, not the truth; "
        f"{100 * plan.confidence:g} % bootstrap intervals. A model that {reference} labelled in "
        f"full is corrected from the other models' cells alone.\n"
    )
    for judge in marked:
        if judge in notes:
            text += f"\n\\* {judge}: {notes[judge]}.\n"
    return text
