"""The verb ``distil``."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from steerability.support.console import note
from steerability.support.jsonl import write_records

# BLAS and numpy choose code by the CPU, and sums depend on it: one thread and AVX2 everywhere.
PINNED = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}


def distil(
    completions: Annotated[list[Path], typer.Option(help="Completions to learn from.")],
    labels: Annotated[list[Path], typer.Option(help="The labels to learn.")],
    output_dir: Annotated[Path, typer.Option(help="Where the trained file goes.")],
    out_of_fold: Annotated[Path, typer.Option(help="Where labels on unseen cells go.")],
    definition: Annotated[
        Path | None, typer.Option(help="Rules rubric whose cues are features; built-in by default.")
    ] = None,
) -> None:
    """Train the distilled judge, and label every cell by models that did not see it.

    Writes ``SHA256.safetensors`` and ``distilled.json``, which names it. The same cells give the
    same bytes: the training runs in a process of its own with one thread and a fixed kernel.
    """
    if any(os.environ.get(name) != value for name, value in PINNED.items()):
        _again()
        return
    from steerability.judges.files import read_completions, read_labels
    from steerability.judges.rules import RulesJudge
    from steerability.trained_judge.file import write_trained
    from steerability.trained_judge.training import examples_of, prepare, train
    from steerability.trained_judge.training import out_of_fold as held_out

    rules = RulesJudge.load(definition)
    given = {row.id: row for group in read_labels(labels).values() for row in group.values()}
    examples, reference = examples_of(read_completions(completions), given)
    prepared = prepare(examples, rules)
    records = list(held_out(examples, prepared.data))
    write_records(out_of_fold, records)
    trained = train(examples, prepared, rules, reference)
    models = sorted({example.completion.model for example in examples})
    facts = {"cells": len(examples), "models": models, "reference": reference}
    digest = write_trained(output_dir, trained, facts)
    truth = {name: label.label for name, label in given.items()}
    right = {
        evaluation: [row.label == truth[row.id] for row in records if row.evaluation == evaluation]
        for evaluation in ("scenario", "model")
    }
    shares = ", ".join(
        f"{sum(hits) / len(hits):.3f} with {evaluation}s held out"
        for evaluation, hits in right.items()
        if hits
    )
    note(f"distil: {len(examples):,} cells learnt; accuracy {shares}; {digest}")


def _again() -> None:
    """Run this very command in a process whose numerics are pinned, and speak its words."""
    words = [sys.executable, "-m", "steerability", *sys.argv[1:]]
    home = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")]))
    process = subprocess.run(words, env={**os.environ, **PINNED, "PYTHONPATH": path}, check=False)
    if process.returncode:
        raise typer.Exit(process.returncode)
