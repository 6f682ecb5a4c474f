"""The verb ``estimate``."""

from pathlib import Path
from typing import Annotated

import typer

from steerability.config.read_study import SPEC_HELP, read_study
from steerability.estimate.estimates import FILES
from steerability.estimate.estimates import estimate as estimate_all
from steerability.estimate.grid import Model
from steerability.protocol.intervention import Intervention
from steerability.score.cells import read_cells, read_model_facts
from steerability.score.choices import read_choices
from steerability.support.errors import UserError
from steerability.support.jsonl import read_records


def estimate(
    output_dir: Annotated[Path, typer.Option(help="The run's folder.")],
    spec: Annotated[str, typer.Option(help=SPEC_HELP)] = "{}",
    cells: Annotated[
        Path | None, typer.Option(help="The tidy table of labels (cells.csv).")
    ] = None,
    choices: Annotated[
        Path | None, typer.Option(help="The tidy table of choices (choices.csv).")
    ] = None,
    models: Annotated[
        str, typer.Option(help="Size and stage by model, as JSON, for choices without labels.")
    ] = "{}",
    interventions: Annotated[
        Path | None, typer.Option(help="interventions.jsonl: families, strengths and controls.")
    ] = None,
) -> None:
    """Compute rates, contrasts and shifts with their intervals and tests, once for the run."""
    study = read_study(spec)
    if cells is None and choices is None:
        raise UserError("nothing to estimate", mend="give --cells, --choices or both")
    made = estimate_all(
        study,
        read_cells(cells) if cells else [],
        read_choices(choices) if choices else [],
        read_records(interventions, Intervention) if interventions else [],
        {name: Model(name, *facts) for name, facts in read_model_facts(models).items()},
    )
    made.write(output_dir)
    print(
        f"estimate: {len(made.rates):,} rates, {len(made.contrasts):,} contrasts, "
        f"{len(made.steering):,} shifts, in {', '.join(FILES)} of {output_dir}"
    )
