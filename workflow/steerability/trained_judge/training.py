"""Training the ``distilled`` judge, and what it says of cells it was not trained on."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from steerability.judges.base import content_of, rounded, softmax
from steerability.judges.rules import RulesJudge
from steerability.protocol.records import JUDGE_FAILED, LABELS, Completion, JudgeInput, Label
from steerability.support.canonical import digest, sha256_text
from steerability.support.errors import UserError
from steerability.trained_judge import fitting
from steerability.trained_judge.features import (
    FEWEST_SCENARIOS,
    OPENING,
    SEMANTICS,
    VIEWS,
    Tabular,
    term_counts,
    view,
)
from steerability.trained_judge.file import Facts, Trained, View
from steerability.trained_judge.held_out import HeldOut, OutOfFold

FOLDS = 10


@dataclass(frozen=True)
class Example:
    """A completion with the label to learn."""

    completion: Completion
    label: Label


@dataclass(frozen=True)
class Prepared:
    """What fits are made from, and the names of its terms by view."""

    data: fitting.Data
    terms: tuple[tuple[str, ...], ...]


def examples_of(
    completions: dict[str, Completion], labels: dict[str, Label]
) -> tuple[list[Example], str]:
    """Return the cells to learn from, and the reference's name.

    Their order does not depend on what a model is called, so that its bytes do not either.

    Raises:
        UserError: fewer than two labels occur, or too few scenarios do.
    """
    chosen = [
        Example(completions[name], labels[name])
        for name in completions
        if name in labels and labels[name].label != JUDGE_FAILED
    ]
    chosen.sort(key=_place)
    names = {example.label.judge for example in chosen}
    scenarios = {example.completion.scenario for example in chosen}
    if len({example.label.label for example in chosen}) < 2 or len(scenarios) < 2 * FOLDS:
        raise UserError(
            f"{len(chosen)} labelled completions of {len(scenarios)} scenarios are too few",
            where="--labels",
            mend=f"give at least {2 * FOLDS} scenarios and two labels",
        )
    return chosen, ", ".join(sorted(names))


def prepare(examples: Sequence[Example], rules: RulesJudge) -> Prepared:
    """Return the features of all examples, computed once."""
    tabular = Tabular(rules)
    common = frozenset(rules.rubric.common_words)
    scenarios = sorted(
        {example.completion.scenario for example in examples},
        key=lambda name: hashlib.sha256(name.encode("utf-8")).hexdigest(),
    )
    order = {name: at for at, name in enumerate(scenarios)}
    groups = [order[example.completion.scenario] for example in examples]
    counted = [
        term_counts([view(name, one.completion.response) for one in examples], groups, common)
        for name in VIEWS
    ]
    data = fitting.Data(
        table=np.array([tabular.row(_input(example)) for example in examples]),
        weights=np.array(tabular.weights),
        views=tuple(counts for _, counts in counted),
        labels=np.array([LABELS.index(_outcome(example)) for example in examples]),
        groups=np.array(groups),
    )
    return Prepared(data, tuple(names for names, _ in counted))


def out_of_fold(examples: Sequence[Example], data: fitting.Data) -> Iterator[OutOfFold]:
    """Yield what models say of cells whose scenario, then whose model, they were not trained on.

    Each scenario is held out in turn, and each model. The temperature is found without the cell's
    model, or without a tenth of the scenarios that its own is among.
    """
    every = np.arange(len(examples))
    for block in fitting.folds_of(data.groups, FOLDS):
        heat = fitting.temperature(data, np.setdiff1d(every, block))
        for group in np.unique(data.groups[block]):
            rows = np.flatnonzero(data.groups == group)
            fold = examples[rows[0]].completion.scenario
            yield from _held_out(examples, data, rows, heat, "scenario", fold)
    models = [example.completion.model for example in examples]
    for model in sorted(set(models)):
        rows = np.array([at for at, name in enumerate(models) if name == model])
        if len(rows) < len(examples):
            heat = fitting.temperature(data, np.setdiff1d(every, rows))
            yield from _held_out(examples, data, rows, heat, "model", model)


def _held_out(
    examples: Sequence[Example],
    data: fitting.Data,
    rows: fitting.Index,
    heat: float,
    evaluation: HeldOut,
    fold: str,
) -> Iterator[OutOfFold]:
    train = np.setdiff1d(np.arange(len(examples)), rows)
    for at, scores in zip(rows, fitting.fit(data, train).scores(data, rows), strict=True):
        chances = softmax([float(score) / heat for score in scores])
        yield OutOfFold(
            id=examples[at].completion.id,
            contents=_contents(examples[at]),
            evaluation=evaluation,
            fold=fold,
            label=LABELS[max(range(len(LABELS)), key=lambda place: chances[place])],
            probabilities=rounded(LABELS, chances),
        )


def train(
    examples: Sequence[Example], prepared: Prepared, rules: RulesJudge, reference: str
) -> Trained:
    """Return the judge trained on all examples."""
    data = prepared.data
    every = np.arange(len(examples))
    model = fitting.fit(data, every)
    facts = Facts(
        semantics=SEMANTICS,
        labels=LABELS,
        rubric=rules.rubric,
        temperature=fitting.temperature(data, every),
        reference=reference,
        cells=len(examples),
        data=digest(sorted(_fingerprint(example) for example in examples)),
        training=parameters(),
    )
    return Trained(
        views=tuple(
            View(
                tuple(name for name, kept in zip(names, rare > 0, strict=True) if kept),
                rare[rare > 0].astype(np.float32),
                weights[:, rare > 0].astype(np.float32),
            )
            for names, rare, weights in zip(
                prepared.terms, model.rarities, model.texts, strict=True
            )
        ),
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
        "fewest_scenarios": FEWEST_SCENARIOS,
        "opening": OPENING,
        "shares": list(fitting.SHARES),
        "text_scale": fitting.TEXT_SCALE,
        "inverse_penalty": fitting.INVERSE_PENALTY,
        "clip": fitting.CLIP,
        "inner_folds": fitting.INNER_FOLDS,
        "folds": FOLDS,
    }


def _input(example: Example) -> JudgeInput:
    return JudgeInput.model_validate(example.completion.model_dump())


def _contents(example: Example) -> tuple[str, str]:
    shown = _input(example)
    bare = shown.model_copy(update={"prompt": example.completion.scenario_prompt})
    return digest(content_of(shown)), digest(content_of(bare))


def _outcome(example: Example) -> Any:
    return example.label.label


def _place(example: Example) -> tuple[str, ...]:
    row = example.completion
    return row.scenario, row.intervention, row.completion_sha256, example.label.label


def _fingerprint(example: Example) -> list[str]:
    row = example.completion
    return [row.completion_sha256, sha256_text(row.prompt), row.category, example.label.label]
