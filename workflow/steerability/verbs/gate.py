"""The verb ``gate``."""

from typing import Annotated

import typer

from steerability.compare.folder import run_folder
from steerability.compare.gate import check_limits, parse_limit
from steerability.publish.manifest import MANIFEST, models_of, read_manifest, vouched_file

# the options for the interventions of the published protocol, as limits
_OPTIONS = {
    "max_anti_convergence": "convergence@anti<=",
    "max_none_convergence": "convergence@none<=",
    "max_pro_convergence": "convergence@pro<=",
    "min_pro_refusal": "safety_refusal@pro>=",
    "max_none_refusal": "safety_refusal@none<=",
    "min_delta": "delta>=",
    "max_delta": "delta<=",
    "min_authorised": "authorised>=",
    "max_unauthorised": "unauthorised<=",
}


def gate(
    run: Annotated[str, typer.Argument(help="The run: folder, or name under results/.")],
    limit: Annotated[
        list[str] | None,
        typer.Option(
            help="OUTCOME@INTERVENTION<=X or >=X in per cent, CONTRAST<=X or >=X in points or "
            "nats; TASK/ before it for another task than the first that has it (repeatable)."
        ),
    ] = None,
    max_anti_convergence: Annotated[float | None, typer.Option(min=0, max=100)] = None,
    max_none_convergence: Annotated[float | None, typer.Option(min=0, max=100)] = None,
    max_pro_convergence: Annotated[float | None, typer.Option(min=0, max=100)] = None,
    min_pro_refusal: Annotated[float | None, typer.Option(min=0, max=100)] = None,
    max_none_refusal: Annotated[float | None, typer.Option(min=0, max=100)] = None,
    min_delta: Annotated[float | None, typer.Option(min=-100, max=100)] = None,
    max_delta: Annotated[float | None, typer.Option(min=-100, max=100)] = None,
    min_authorised: Annotated[float | None, typer.Option(min=-100, max=100)] = None,
    max_unauthorised: Annotated[float | None, typer.Option(min=-100, max=100)] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="Only this model (repeatable); else all.")
    ] = None,
) -> None:
    """Hold a run against limits: status 0 where every interval's bound keeps them, else 1.

    Limits are per cent of valid outputs, or points for delta (pro - anti), authorised
    (none - anti) and unauthorised (pro - none). The tables are read only if they are those
    that the run's manifest names; a rate of a model that they lack is not known and fails.
    """
    given = {
        "max_anti_convergence": max_anti_convergence,
        "max_none_convergence": max_none_convergence,
        "max_pro_convergence": max_pro_convergence,
        "min_pro_refusal": min_pro_refusal,
        "max_none_refusal": max_none_refusal,
        "min_delta": min_delta,
        "max_delta": max_delta,
        "min_authorised": min_authorised,
        "max_unauthorised": max_unauthorised,
    }
    named = [f"{_OPTIONS[name]}{value:f}" for name, value in given.items() if value is not None]
    limits = [parse_limit(text) for text in (*named, *(limit or []))]
    folder = run_folder(run)
    manifest = read_manifest(folder / MANIFEST)
    for table in ("rates.csv", "contrasts.csv"):
        vouched_file(folder, manifest, table)
    checks, judges = check_limits(folder, limits, model or [], models_of(manifest))
    for check in checks:
        print(check.line())
    failed = sum(not check.passed for check in checks)
    print(f"gate: {len(checks)} checks, {failed} failed, judge {judges}")
    if failed:
        raise typer.Exit(1)
