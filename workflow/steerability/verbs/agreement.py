"""The verb ``agreement``."""

from pathlib import Path
from typing import Annotated

import typer

from steerability.agreement.calibration import COLUMNS as CALIBRATION_COLUMNS
from steerability.agreement.calibration import calibration_rows
from steerability.agreement.coefficients import agreement_row, columns
from steerability.agreement.pairs import (
    Pair,
    check_completed,
    conditions,
    is_development,
    pair_up,
)
from steerability.judges.files import read_completions, read_labels
from steerability.protocol.records import Label
from steerability.support.console import note
from steerability.support.jsonl import read_records
from steerability.support.options import named_values
from steerability.support.tables import Field, write_csv
from steerability.trained_judge.held_out import OutOfFold


def agreement(
    completions: Annotated[list[Path], typer.Option(help="Completions of the labelled models.")],
    reference: Annotated[list[Path], typer.Option(help="The labels to agree with.")],
    output: Annotated[Path, typer.Option(help="Where agreement.csv goes.")],
    calibration: Annotated[Path, typer.Option(help="Where calibration.csv goes.")],
    labels: Annotated[list[Path] | None, typer.Option(help="Labels of the judges.")] = None,
    tuned: Annotated[
        list[str] | None,
        typer.Option(help="A judge whose cues were compared with the development half."),
    ] = None,
    out_of_fold: Annotated[
        list[str] | None,
        typer.Option(help="JUDGE=FILE: a trained judge's labels on cells it was not trained on."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 20260104,
    resamples: Annotated[int, typer.Option(min=100, help="Bootstrap resamples.")] = 10_000,
    confidence: Annotated[float, typer.Option(min=0.5, max=0.999, help="Coverage.")] = 0.95,
) -> None:
    """Measure judges against reference labels.

    ``evaluation`` is ``all`` (every cell, nothing trained), ``scenario`` (scenarios held out) or
    ``model`` (a model held out); ``condition`` is ``all`` or an intervention. A judge given by
    --out-of-fold is measured on those labels, and on --labels only where they are of models that
    it never learnt from, which are held out as they are.
    """
    rows = read_completions(completions)
    truth = {
        label.id: label for group in read_labels(reference).values() for label in group.values()
    }
    sets: list[tuple[str, str, list[Pair]]] = []
    held_out = named_values(out_of_fold or [], "JUDGE=FILE", where="--out-of-fold")
    trained = {name: Path(path) for name, path in held_out.items()}
    given = read_labels(labels or [])
    for group in given.values():
        check_completed(rows, group.values())
    for judge, group in given.items():
        if judge in trained:
            continue
        sets.append((judge, "all", pair_up(rows, truth, group.values())))
        if judge in (tuned or []):
            held = [row for row in group.values() if not is_development(rows[row.id].scenario)]
            sets.append((judge, "scenario", pair_up(rows, truth, held)))
    for judge, path in trained.items():
        records = [row for row in read_records(path, OutOfFold) if row.id in rows]
        learnt = {rows[row.id].model for row in records}
        unseen = [row for row in given.get(judge, {}).values() if rows[row.id].model not in learnt]
        late = len(given.get(judge, {})) - len(unseen) - len({row.id for row in records})
        if late > 0:
            note(
                f"agreement: {late} cells of models that {judge} learnt from came after it was "
                "trained, so it is not measured on them; to train it on them too, run again with "
                "--forcerun distil (make replay RETRAIN=1)"
            )
        for evaluation in ("scenario", "model"):
            chosen: list[Label | OutOfFold] = [r for r in records if r.evaluation == evaluation]
            # a model that it never learnt from is held out as it is
            chosen += unseen if evaluation == "model" else []
            sets.append((judge, evaluation, pair_up(rows, truth, chosen)))
    table: list[dict[str, Field]] = []
    curves: list[dict[str, Field]] = []
    for judge, evaluation, pairs in sets:
        if not pairs:
            note(f"agreement: {judge} ({evaluation}) has no cell with a reference label")
            continue
        who: dict[str, Field] = {"judge": judge, "evaluation": evaluation}
        for condition in ("all", *conditions(pairs)):
            chosen_pairs = [pair for pair in pairs if condition in ("all", pair.condition)]
            figures = agreement_row(
                chosen_pairs, seed=seed, resamples=resamples, confidence=confidence
            )
            table.append(who | {"condition": condition} | figures)
            if condition == "all":
                note(
                    f"agreement: {judge} ({evaluation}) n {figures['n']}, accuracy "
                    f"{figures['accuracy']}, kappa {figures['kappa']} "
                    f"({figures['kappa_low']} to {figures['kappa_high']}), AC1 {figures['ac1']}, "
                    f"alpha {figures['alpha']}, ECE {figures['ece'] or 'none'}"
                )
        curves += [who | row for row in calibration_rows(pairs)]
    write_csv(output, columns(), table)
    write_csv(calibration, CALIBRATION_COLUMNS, curves)
