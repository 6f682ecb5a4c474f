"""Rates as judged and as corrected for judge error, side by side."""

from collections.abc import Mapping, Sequence

from steerability.config.study import Study
from steerability.estimate.grid import Model
from steerability.inference.corrected import METHODS
from steerability.inference.families import headline_gap
from steerability.protocol.design import DELTA
from steerability.report.tables.blocks import notes_below
from steerability.report.tables.names import short_names
from steerability.report.tables.render import DASH, markdown_grid
from steerability.support.tables import Field


def corrected_markdown(rows: Sequence[Mapping[str, Field]], study: Study) -> str:
    """Return rates of the event as judged and as corrected, side by side.

    Of the headline's gap its two interventions and the gap are shown; without one, all.
    """
    if not rows:
        return "No judge of this run has labels beside a reference: nothing is corrected.\n"
    models = list(
        dict.fromkeys(Model(str(r["model"]), str(r["size"]), str(r["stage"])) for r in rows)
    )
    names = dict(zip((model.name for model in models), short_names(models), strict=True))
    gap = headline_gap(study)
    body: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        if gap is not None and row["quantity"] not in (gap.a, gap.b, DELTA):
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
    marked = {judge: f"{judge}*" if judge in study.notes else judge for judge, _, _ in body}
    lines = [[marked[j], names[m], q, *line] for (j, m, q), line in body.items()]
    reference = rows[0]["reference"]
    scale = study.scale(study.labelled[0].scale)
    event = scale.outcome(scale.event).words
    text = markdown_grid(header, lines)
    text += (
        f"\n\n{event.capitalize()} in % of valid outputs{' and its gap' if gap else ''}, corrected "
        f"to the labels of {reference}, which are that judge's labels, not the truth; "
        f"{100 * study.analysis.confidence:g} % bootstrap intervals. A model that {reference} "
        f"labelled in full is corrected from the other models' cells alone.\n"
    )
    return text + notes_below(list(marked), study.notes)
