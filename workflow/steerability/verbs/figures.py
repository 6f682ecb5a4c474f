"""The verb ``figures``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from steerability.config.read_study import SPEC_HELP, read_study
from steerability.protocol.intervention import Intervention
from steerability.report.figures.ablations import kind
from steerability.report.figures.all import Sources, draw_all
from steerability.report.figures.context import Drawn
from steerability.report.figures.matrix import KEYS as MATRIX_KEYS
from steerability.report.figures.matrix import NUMBERS as MATRIX_NUMBERS
from steerability.report.figures.style import save, style
from steerability.report.long_tables import Row, read_long_tables
from steerability.score.cells import read_cells
from steerability.score.choices import read_choices
from steerability.support.jsonl import read_records
from steerability.support.options import named_values
from steerability.support.tables import read_csv

File = Path | None


def figures(
    output_dir: Annotated[Path, typer.Option(help="The folder to draw into.")],
    spec: Annotated[str, typer.Option(help=SPEC_HELP)],
    rates: Annotated[File, typer.Option(help="rates.csv of the run.")] = None,
    contrasts: Annotated[File, typer.Option(help="contrasts.csv of the run.")] = None,
    categories: Annotated[File, typer.Option(help="categories.csv of the run.")] = None,
    steering: Annotated[File, typer.Option(help="steering.csv of the run.")] = None,
    cells: Annotated[File, typer.Option(help="The tidy table of labels (cells.csv).")] = None,
    choices: Annotated[File, typer.Option(help="The tidy table of choices.")] = None,
    interventions: Annotated[File, typer.Option(help="interventions.jsonl of the run.")] = None,
    matrix: Annotated[File, typer.Option(help="matrix.csv: defences against attacks.")] = None,
    published: Annotated[File, typer.Option(help="Published Table 1, drawn beside.")] = None,
    agreement: Annotated[File, typer.Option(help="agreement.csv of the run.")] = None,
    calibration: Annotated[File, typer.Option(help="calibration.csv of the run.")] = None,
    ablation: Annotated[
        list[str] | None,
        typer.Option(help="NAME=TABLE1.csv of a run with a changed protocol (repeatable)."),
    ] = None,
) -> None:
    """Draw the figures, each as SVG and PNG; those of an earlier run are replaced or removed."""
    study = read_study(spec)
    drawn = Drawn(study, read_long_tables(rates, contrasts, steering, categories))
    sources = Sources(
        cells=read_cells(cells) if cells and study.labelled else [],
        choices=read_choices(choices) if choices else [],
        interventions={one.name: one for one in _interventions(interventions)},
        published=_published(published),
        variants=_variants(ablation or []),
        agreement=read_csv(agreement, _JUDGED, _AGREED) if agreement else None,
        calibration=read_csv(calibration, _CURVES, _CURVED) if calibration else None,
        matrix=read_csv(matrix, MATRIX_KEYS, MATRIX_NUMBERS) if matrix else None,
    )
    with style():
        made = draw_all(drawn, sources)
        written = {
            path
            for one in made
            for path in save(one.figure, output_dir, one.name, one.title, one.caption)
        }
    _remove_others(output_dir, written)
    print(f"figures: {len(made)} figures, SVG and PNG, in {output_dir}")


_JUDGED = ("judge", "evaluation", "condition")
_AGREED = ("n", "kappa", "kappa_low", "kappa_high")
_CURVES = ("judge", "evaluation", "label")
_CURVED = ("n", "probability", "frequency")


def _interventions(path: Path | None) -> Sequence[Intervention]:
    return list(read_records(path, Intervention)) if path else []


def _published(path: Path | None) -> dict[str, float]:
    rows = read_csv(path, ["model"], ["delta"]) if path else []
    return {row["model"]: float(row["delta"]) for row in rows if row["delta"]}


def _remove_others(folder: Path, written: set[Path]) -> None:
    """Remove the figures of an earlier run: an SVG beside a PNG of the same name."""
    for vector in sorted(folder.glob("*.svg")):
        picture = vector.with_suffix(".png")
        if vector not in written and picture.is_file():
            vector.unlink()
            picture.unlink()


def _variants(words: Sequence[str]) -> dict[str, dict[str, Row]]:
    """Table 1 of every run with a changed protocol: by model, and by size and stage if unique."""
    variants: dict[str, dict[str, Row]] = {}
    for name, path in named_values(words, "NAME=TABLE1.csv", where="--ablation").items():
        numbers = ["delta", "delta_low", "delta_high"]
        rows = read_csv(Path(path), ["model", "size", "stage"], numbers)
        kinds = [kind(row["size"], row["stage"]) for row in rows]
        variants[name] = {
            of: row for of, row in zip(kinds, rows, strict=True) if kinds.count(of) == 1
        } | {row["model"]: row for row in rows}
    return variants
