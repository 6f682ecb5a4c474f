"""The verb ``verify``."""

import random
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from steerability.publish.manifest import (
    MANIFEST,
    Expected,
    build_manifest,
    differences,
    first_difference,
    input_changes,
    read_expected,
    read_manifest,
)
from steerability.publish.sample import check_sample
from steerability.support.console import note
from steerability.support.files import write_atomic


def verify(
    folder: Annotated[Path, typer.Argument(help="the run's folder")],
    expected: Annotated[
        Path | None, typer.Option(help="digests that the run must have, whole and by stage")
    ] = None,
    sample: Annotated[
        int, typer.Option(min=0, help="cells to generate again and compare; 0: none")
    ] = 8,
    seed: Annotated[
        int | None, typer.Option(help="chooses the sample; by default another one each time")
    ] = None,
    weights_dir: Annotated[Path, typer.Option(help="folder of the weights")] = Path(
        "results/weights"
    ),
    record: Annotated[
        Path | None,
        typer.Option(help="write the digests of the run, once all is well, as expected ones"),
    ] = None,
) -> None:
    """Check every digest of a run, and make a random sample of its cells again.

    Exit status 1 when a file is missing, added or changed, one that the config named is another
    now, a digest is not the expected one, or a cell comes out otherwise; the stage named is the
    first, in the flow's order, that differs.
    """
    manifest = read_manifest(folder / MANIFEST)
    here = build_manifest(manifest.run, folder)
    faults = list(differences(manifest.files, here.files))
    if faults:
        _report(faults, f"{len(faults)} file(s) are not as the manifest says")
    print(f"verify: {len(here.files)} files are as the manifest says, digest {here.digest}")
    inputs = input_changes(manifest.inputs)
    if inputs.changed:
        what = f"{len(inputs.changed)} file(s) that the config names are not those of the run"
        _report(inputs.changed, f"{what}; run the workflow again")
    if manifest.inputs:
        here_too = len(manifest.inputs) - len(inputs.missing)
        print(f"verify: {here_too} files that the config names are those of the run")
    if inputs.missing:
        print(f"verify: not here to be compared: {', '.join(inputs.missing)}")
    if expected is not None:
        stage = first_difference(read_expected(expected), here)
        if stage is not None:
            _report([], f"the digest is not that of {expected}: differs since stage {stage}")
        print(f"verify: the digest is that of {expected}")
    if sample:
        seed = random.SystemRandom().randrange(2**32) if seed is None else seed
        made, faults, accelerated = check_sample(folder, weights_dir, sample, seed)
        if faults:
            _report(faults, f"{len(faults)} of {made} cells made again differ (--seed {seed})")
        if made:
            print(f"verify: {made} cells made again, the same bytes (--seed {seed})")
        elif not accelerated:
            print("verify: the run generated nothing here, no cell to make again")
        if accelerated:
            print(
                f"verify: {accelerated} cells were made on an accelerator, where bytes may depend "
                "on the batch: none of them is made again"
            )
    if record is not None:
        expected_of = Expected(digest=here.digest, stages=here.stages)
        write_atomic(record, f"{expected_of.model_dump_json(indent=1)}\n".encode())
        print(f"verify: digest {here.digest} is expected from now on, {record}")


def _report(faults: list[str], summary: str) -> NoReturn:
    for fault in faults:
        note(f"verify: {fault}")
    note(f"verify: {summary}")
    raise typer.Exit(1)
