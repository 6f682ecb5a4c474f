"""Everything that is estimated of a run's labels and choices, computed once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from steerability.config.study import Study
from steerability.estimate.bootstrap import Draws
from steerability.estimate.choice_grid import LOG_ODDS, ChoiceGrid, choice_grids_of, mean_draws
from steerability.estimate.choice_table import choice_contrasts
from steerability.estimate.contrast_table import (
    CONTRAST_COLUMNS,
    Found,
    adjusted,
    label_contrasts,
)
from steerability.estimate.grid import Grid, Model, grids_of
from steerability.estimate.rate_table import (
    CATEGORY_COLUMNS,
    RATE_COLUMNS,
    Row,
    category_rows,
    rate_rows,
)
from steerability.estimate.rates import fraction, nats_text, percent_text
from steerability.estimate.resampled import Resampled
from steerability.estimate.resampling import Resampling, Resamplings
from steerability.estimate.steering import (
    STEERING_COLUMNS,
    Measured,
    needs_slope,
    steering_rows,
)
from steerability.estimate.twins import differences_of_differences
from steerability.protocol.intervention import Intervention
from steerability.score.cells import CellRow
from steerability.score.choices import ChoiceRow
from steerability.support.files import write_atomic

FILES = ("rates.csv", "contrasts.csv", "categories.csv", "steering.csv")


class Estimates(NamedTuple):
    """The long tables of a run; every field is text, an unknown one empty."""

    rates: pd.DataFrame
    contrasts: pd.DataFrame
    categories: pd.DataFrame
    steering: pd.DataFrame

    def write(self, folder: Path) -> None:
        """Write the tables as ``FILES`` of a folder."""
        for name, table in zip(FILES, self, strict=True):
            text = table.to_csv(index=False, lineterminator="\n")
            write_atomic(folder / name, text.encode("utf-8"))


class _OfModel(NamedTuple):
    rates: list[Row]
    categories: list[Row]
    found: list[Found]
    measured: Measured | None


def estimate(
    study: Study,
    cells: Sequence[CellRow],
    choices: Sequence[ChoiceRow],
    interventions: Iterable[Intervention],
    models: Mapping[str, Model] | None = None,
) -> Estimates:
    """Compute the rates, contrasts and shifts of a run.

    Nothing else resamples for them: tables, figures and pages are views of these.

    Args:
        study: tasks, scales, roles and the settings of resampling.
        cells: every task's labels.
        choices: every task's log-odds.
        interventions: families, strengths and controls.
        models: size and stage, for choices of models without labels.

    Raises:
        UserError: cells, choices and study do not fit; see ``grids_of``.
    """
    named = {one.name: one for one in interventions}
    grids = grids_of(cells, study)
    known = {model.name: model for grid in grids for model in grid.models}
    chosen = choice_grids_of(choices, study, {**(models or {}), **known})
    resamplings = Resamplings(study.analysis)
    parts = [
        *_labels(grids, study, resamplings, named),
        *_choices(chosen, study, resamplings, named),
    ]
    found = [one for part in parts for one in part.found]
    found += differences_of_differences(grids, chosen, study, resamplings)
    found = adjusted(found)
    measured = [part.measured for part in parts if part.measured is not None]
    confidence = study.analysis.confidence
    steering = steering_rows(measured, found, named, study.design.baseline, confidence)
    return Estimates(
        rates=_table(RATE_COLUMNS, [row for part in parts for row in part.rates]),
        contrasts=_table(CONTRAST_COLUMNS, [one.fields() for one in found]),
        categories=_table(CATEGORY_COLUMNS, [row for part in parts for row in part.categories]),
        steering=_table(STEERING_COLUMNS, steering),
    )


def _table(columns: Sequence[str], rows: Sequence[Row]) -> pd.DataFrame:
    """Rows as text under a header, in its order."""
    table = pd.DataFrame(rows, columns=list(columns), dtype=object)
    return table.map(lambda value: "" if value is None else str(value))


def _labels(
    grids: Sequence[Grid],
    study: Study,
    resamplings: Resamplings,
    interventions: Mapping[str, Intervention],
) -> Iterator[_OfModel]:
    """Estimate every model of every grid; the first judge of a task and guard is steered by."""
    seen: set[tuple[str, str]] = set()
    design, confidence = study.design, study.analysis.confidence
    for grid in grids:
        draws = resamplings.of(grid.categories)
        contrasts = design.contrasts(grid.interventions)
        swaps = draws.swaps if grid.samples > 1 else None
        primary = (grid.task, grid.guard) not in seen
        seen.add((grid.task, grid.guard))
        for model in range(len(grid.models)):
            resampled = Resampled(grid, model, draws.weights)
            yield _OfModel(
                rates=list(rate_rows(resampled, design, confidence)),
                categories=list(category_rows(resampled, design, confidence)),
                found=label_contrasts(resampled, contrasts, swaps, confidence),
                measured=_measured_rates(resampled, interventions) if primary else None,
            )


def _measured_rates(resampled: Resampled, interventions: Mapping[str, Intervention]) -> Measured:
    grid, model, names = resampled.grid, resampled.model, resampled.interventions
    event = grid.scale.event
    counted = {name: grid.counted(model, name) for name in names}
    return Measured(
        task=grid.task,
        model=grid.models[model],
        guard=grid.guard,
        judge=grid.judge,
        measure=event,
        values={name: percent_text(fraction(*one.totals)) for name, one in counted.items()},
        exact={name: one.rate for name, one in counted.items()},
        draws={name: resampled.draws(name, event) for name in needs_slope(interventions, names)},
        counts={name: int((one.among > 0).sum()) for name, one in counted.items()},
    )


def _choices(
    grids: Sequence[ChoiceGrid],
    study: Study,
    resamplings: Resamplings,
    interventions: Mapping[str, Intervention],
) -> Iterator[_OfModel]:
    for grid in grids:
        draws = resamplings.of(grid.categories)
        contrasts = study.design.contrasts(grid.interventions)
        pair = (draws.weights, draws.swaps)
        for model in range(len(grid.models)):
            yield _OfModel(
                rates=[],
                categories=[],
                found=choice_contrasts(grid, model, contrasts, pair, study.analysis.confidence),
                measured=_measured_choices(grid, model, draws, interventions),
            )


def _measured_choices(
    grid: ChoiceGrid, model: int, draws: Resampling, interventions: Mapping[str, Intervention]
) -> Measured:
    names = grid.present(model)
    values = {name: grid.values(model, name, LOG_ODDS) for name in names}
    sloping: dict[str, Draws] = {
        name: mean_draws(values[name], draws.weights) for name in needs_slope(interventions, names)
    }
    return Measured(
        task=grid.task,
        model=grid.models[model],
        guard=grid.guard,
        judge="",
        measure=LOG_ODDS,
        values={name: nats_text(one.mean) for name, one in values.items()},
        exact={name: one.mean for name, one in values.items()},
        draws=sloping,
        counts={name: one.n for name, one in values.items()},
        nats=True,
    )
