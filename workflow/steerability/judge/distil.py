"""Training the ``distilled`` judge, and what it says of cells it was not trained on."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from steerability.canonical import digest, sha256_text
from steerability.errors import UserError
from steerability.judge import fitting
from steerability.judge.base import rounded, softmax
from steerability.judge.features import BITS, SEMANTICS, Tabular, Text
from steerability.judge.pairs import HeldOut, OutOfFold
from steerability.judge.rules import RulesJudge
from steerability.judge.trained import Facts, Trained
from steerability.records import JUDGE_FAILED, LABELS, Completion, JudgeInput, Label

FOLDS = 10


@dataclass(frozen=True)
class Example:
    """A completion with the label to learn."""

    completion: Completion
    label: Label


def examples_of(
    completions: dict[str, Completion], labels: dict[str, Label]
) -> tuple[list[Example], str]:
    """Return the cells to learn from, in the order of their ids, and the reference's name.

    Raises:
        UserError: fewer than two labels occur, or too few scenarios do.
    """
    chosen = [
        Example(completions[name], labels[name])
        for name in sorted(completions)
        if name in labels and labels[name].label != JUDGE_FAILED
    ]
    names = {example.label.judge for example in chosen}
    scenarios = {example.completion.scenario for example in chosen}
    if len({example.label.label for example in chosen}) < 2 or len(scenarios) < 2 * FOLDS:
        raise UserError(
            f"{len(chosen)} labelled completions of {len(scenarios)} scenarios are too few",
            where="--labels",
            mend=f"give at least {2 * FOLDS} scenarios and two labels",
        )
    return chosen, ", ".join(sorted(names))


def prepare(examples: Sequence[Example], rules: RulesJudge) -> fitting.Data:
    """Return the features of all examples, computed once."""
    tabular = Tabular(rules)
    text = Text(BITS, frozenset(rules.rubric.common_words)).matrix(
        [example.completion.response for example in examples]
    )
    scenarios = sorted(
        {example.completion.scenario for example in examples},
        key=lambda name: hashlib.sha256(name.encode("utf-8")).hexdigest(),
    )
    order = {name: at for at, name in enumerate(scenarios)}
    return fitting.Data(
        table=np.array([tabular.row(_input(example)) for example in examples]),
        weights=np.array(tabular.weights),
        text=text,
        gram=(text @ text.T).toarray(),
        labels=np.array([LABELS.index(_outcome(example)) for example in examples]),
        groups=np.array([order[example.completion.scenario] for example in examples]),
    )


def out_of_fold(examples: Sequence[Example], data: fitting.Data) -> Iterator[OutOfFold]:
    """Yield what models trained without a cell's scenario, then without its model, say of it.

    The temperature of each is found within its own training cells.
    """
    every = np.arange(len(examples))
    for number, rows in enumerate(fitting.folds_of(data.groups, FOLDS)):
        yield from _held_out(examples, data, every, rows, "scenario", str(number))
    models = [example.completion.model for example in examples]
    for model in sorted(set(models)):
        rows = np.array([at for at, name in enumerate(models) if name == model])
        if len(rows) < len(examples):
            yield from _held_out(examples, data, every, rows, "model", model)


def _held_out(
    examples: Sequence[Example],
    data: fitting.Data,
    every: fitting.Index,
    rows: fitting.Index,
    evaluation: HeldOut,
    fold: str,
) -> Iterator[OutOfFold]:
    train = np.setdiff1d(every, rows)
    heat = fitting.temperature(data, train)
    for at, scores in zip(rows, fitting.fit(data, train).scores(data, rows), strict=True):
        chances = softmax([float(score) / heat for score in scores])
        yield OutOfFold(
            id=examples[at].completion.id,
            evaluation=evaluation,
            fold=fold,
            label=LABELS[max(range(len(LABELS)), key=lambda place: chances[place])],
            probabilities=rounded(LABELS, chances),
        )


def train(
    examples: Sequence[Example], data: fitting.Data, rules: RulesJudge, reference: str
) -> Trained:
    """Return the judge trained on all examples."""
    every = np.arange(len(examples))
    model = fitting.fit(data, every)
    facts = Facts(
        semantics=SEMANTICS,
        labels=LABELS,
        bits=BITS,
        rubric=rules.rubric,
        temperature=fitting.temperature(data, every),
        reference=reference,
        cells=len(examples),
        data=digest(sorted(_fingerprint(example) for example in examples)),
        training=parameters(),
    )
    return Trained(
        text=model.text_weights(data).astype(np.float32),
        columns=model.columns.astype(np.float32),
        mean=model.mean.astype(np.float32),
        scale=model.scale.astype(np.float32),
        intercept=model.intercept.astype(np.float32),
        facts=facts,
    )


def parameters() -> dict[str, Any]:
    """Return the parameters of the training."""
    return {
        "components": fitting.COMPONENTS,
        "text_scale": fitting.TEXT_SCALE,
        "inverse_penalty": fitting.INVERSE_PENALTY,
        "clip": fitting.CLIP,
        "inner_folds": fitting.INNER_FOLDS,
        "folds": FOLDS,
    }


def _input(example: Example) -> JudgeInput:
    return JudgeInput.model_validate(example.completion.model_dump())


def _outcome(example: Example) -> Any:
    return example.label.label


def _fingerprint(example: Example) -> list[str]:
    row = example.completion
    return [row.completion_sha256, sha256_text(row.prompt), row.category, example.label.label]
