"""The verb ``gate``."""

from typing import Annotated

import typer

from steerability.compare.folder import run_folder
from steerability.compare.gate import check_limits
from steerability.publish.manifest import MANIFEST, models_of, read_manifest, vouched_file


def gate(
    run: Annotated[str, typer.Argument(help="The run: folder, or name under results/.")],
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
    (none - anti) and unauthorised (pro - none). The table is read only if it is the one that
    the run's manifest names, and has one row for each model whose completions the manifest names.
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
    limits = {name: value for name, value in given.items() if value is not None}
    folder = run_folder(run)
    manifest = read_manifest(folder / MANIFEST)
    table = vouched_file(folder, manifest, "table1.csv")
    checks, judge = check_limits(table, limits, model or [], models_of(manifest))
    for check in checks:
        print(check.line())
    failed = sum(not check.passed for check in checks)
    print(f"gate: {len(checks)} checks, {failed} failed, judge {judge}")
    if failed:
        raise typer.Exit(1)
