"""What was tried for the ``distilled`` judge, and what its agreement can reach, as two tables.

After ``make replay``: ``PYTHONPATH=workflow .venv/bin/python benchmarks/judges.py results/replay``
writes ``results/bench/judges/variants.csv`` and ``limits.csv`` (about ten minutes on one core).
Nothing here is read by the workflow, and no figure of the workflow is chosen by it at run time.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import cohen_kappa_score

from steerability.agreement.coefficients import by_scenario, intervals
from steerability.agreement.pairs import Pair
from steerability.judges.files import read_completions, read_labels
from steerability.judges.rules import RulesJudge
from steerability.protocol.records import LABELS
from steerability.support.tables import Field, write_csv
from steerability.trained_judge import features, fitting
from steerability.trained_judge import training as distil
from steerability.verbs.distil import PINNED

Index = NDArray[np.int64]
Chances = NDArray[np.float64]
Predict = Callable[[Index, Index], Chances]

VARIANTS = ("variant", "evaluation", "n", "kappa", "kappa_low", "kappa_high")
LIMITS = ("estimate", "at", "n", "value")
ORDERS = 5
TREES = 400
SIMILAR = (0.3, 0.4, 0.5, 0.6)
SHARES = (0.25, 0.5, 0.75, 1.0)
DRAWS = 6


@dataclass(frozen=True)
class Cells:
    """The labelled cells, prepared once."""

    examples: Sequence[distil.Example]
    data: fitting.Data

    @property
    def every(self) -> Index:
        """All rows."""
        return np.arange(len(self.examples))

    def of(self, name: str) -> NDArray[np.str_]:
        """Return a field of every completion."""
        return np.array([getattr(one.completion, name) for one in self.examples])


@dataclass(frozen=True)
class Variant:
    """A change of the shipped judge: constants of ``fitting``, or of the features."""

    name: str
    constants: Mapping[str, Any] = field(default_factory=dict)
    opening: int = features.OPENING
    views: int = 2

    def data(self, cells: Cells) -> fitting.Data:
        """Return the cells as this variant sees them."""
        if self.opening == features.OPENING:
            return replace(cells.data, views=cells.data.views[: self.views])
        with patch.object(features, "OPENING", self.opening):
            return distil.prepare(cells.examples, RulesJudge.load()).data

    def predict(self, cells: Cells) -> Predict:
        """Return the scores of rows by a fit on training rows."""
        data = self.data(cells)

        def scores(train: Index, rows: Index) -> Chances:
            with ExitStack() as stack:
                for name, value in self.constants.items():
                    stack.enter_context(patch.object(fitting, name, value))
                return fitting.fit(data, train).scores(data, rows)

        return scores


def unweighted(counts: csr_matrix, groups: Index) -> NDArray[np.float64]:
    """Return 1 for every term: no inverse document frequency, rare terms kept."""
    return np.ones(counts.shape[1])


WHOLE = {"SHARES": (1.0,)}
SHIPPED = Variant("shipped")
TEXTS = (
    Variant("whole response, terms unweighted (before)", {"rarity": unweighted, **WHOLE}, views=1),
    Variant("whole response, terms by rarity", WHOLE, views=1),
    Variant("and opening, terms unweighted", {"rarity": unweighted}),
    SHIPPED,
    Variant("shipped, opening of 50 words", opening=50),
    Variant("shipped, opening of 200 words", opening=200),
    Variant("shipped, 60 components", {"COMPONENTS": 60}),
    Variant("shipped, 240 components", {"COMPONENTS": 240}),
)


def classifier(cells: Cells, make: Callable[[], Any], rows_of: Callable[[Index], Any]) -> Predict:
    """Return a scikit-learn classifier on rows that may depend on the training cells."""

    def chances(train: Index, rows: Index) -> Chances:
        table = rows_of(train)
        model = make().fit(table[train], cells.data.labels[train])
        result = np.zeros((len(rows), len(LABELS)))
        result[:, model.classes_] = model.predict_proba(table[rows])
        return result

    return chances


def others(cells: Cells) -> Iterator[tuple[str, Predict]]:
    """Yield further families by name."""
    texts = [one.completion.response for one in cells.examples]

    def tfidf(train: Index) -> csr_matrix:
        vectors = TfidfVectorizer(
            sublinear_tf=True, ngram_range=(1, 2), min_df=3, max_features=20_000
        )
        return vectors.fit([texts[at] for at in train]).transform(texts)

    def logistic() -> LogisticRegression:
        return LogisticRegression(C=10.0, tol=1e-3, max_iter=500)

    def table(train: Index) -> NDArray[np.float64]:
        spread = cells.data.table[train].std(axis=0)
        centre = cells.data.table[train].mean(axis=0)
        scale = np.where(spread > 1e-6, spread, 1.0)
        return fitting.standardised(cells.data.table, centre, scale) * cells.data.weights

    def trees() -> ExtraTreesClassifier:
        return ExtraTreesClassifier(TREES, min_samples_leaf=3, max_features=0.3, random_state=0)

    grown = classifier(cells, trees, table)
    shipped = SHIPPED.predict(cells)

    def both(train: Index, rows: Index) -> Chances:
        scores = shipped(train, rows)
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        chances: Chances = powers / powers.sum(axis=1, keepdims=True) + grown(train, rows)
        return chances

    def told(name: str) -> Predict:
        values = cells.of(name)
        known = (values[:, None] == np.unique(values)[None, :]).astype(float)
        wider = replace(
            cells.data,
            table=np.hstack([cells.data.table, known]),
            weights=np.concatenate([cells.data.weights, np.full(known.shape[1], 0.3)]),
        )
        return lambda train, rows: fitting.fit(wider, train).scores(wider, rows)

    yield "plain tf-idf and logistic regression", classifier(cells, logistic, tfidf)
    yield (
        "measures and cues alone",
        classifier(cells, lambda: LogisticRegression(max_iter=1000), table),
    )
    yield "extremely randomised trees on measures and cues", grown
    yield "shipped and trees, averaged", both
    yield "shipped, told the category", told("category")
    yield (
        "shipped, told the condition (not allowed: a judge could label by it)",
        told("intervention"),
    )


def folds(cells: Cells, order: int) -> list[Index]:
    """Return ten folds of whole scenarios; order 0 is the training's own."""
    groups = cells.data.groups
    if order:
        places = np.random.default_rng(order).permutation(int(groups.max()) + 1)
        groups = places[groups]
    return fitting.folds_of(groups, distil.FOLDS)


def labels_of(predict: Predict, cells: Cells, held: Sequence[Index]) -> Index:
    """Return the label of every cell by a fit without its fold."""
    said = np.zeros(len(cells.examples), dtype=np.int64)
    for rows in held:
        said[rows] = predict(np.setdiff1d(cells.every, rows), rows).argmax(axis=1)
    return said


def kappa(cells: Cells, said: Index) -> float:
    """Return Cohen's kappa of labels with the published ones."""
    return float(cohen_kappa_score(cells.data.labels, said))


def interval(cells: Cells, said: Index) -> tuple[float, float]:
    """Return the bootstrap interval of kappa, scenarios drawn with replacement."""
    pairs = [
        Pair(one.completion.scenario, "all", LABELS[truth], LABELS[label])
        for one, truth, label in zip(cells.examples, cells.data.labels, said, strict=True)
    ]
    return intervals(by_scenario(pairs), seed=20260104, resamples=10_000, confidence=0.95)["kappa"]


def rows_of(name: str, predict: Predict, cells: Cells, orders: int) -> Iterator[dict[str, Field]]:
    """Yield a variant's rows: every scenario held out in turn, every model, orders of ten folds."""
    groups, models = cells.data.groups, cells.of("model")
    sets = {
        "scenario": [np.flatnonzero(groups == group) for group in np.unique(groups)],
        "model": [np.flatnonzero(models == model) for model in np.unique(models)],
    }
    for evaluation, held in sets.items():
        said = labels_of(predict, cells, held)
        low, high = interval(cells, said)
        yield row(name, evaluation, cells, kappa(cells, said), low, high)
    found = [kappa(cells, labels_of(predict, cells, folds(cells, at))) for at in range(orders)]
    if found:
        name_of = f"ten folds, mean and range of {orders} orders"
        yield row(name, name_of, cells, float(np.mean(found)), min(found), max(found))


def row(
    name: str, evaluation: str, cells: Cells, value: float, low: float, high: float
) -> dict[str, Field]:
    """Return a row of variants.csv."""
    figures = {"kappa": value, "kappa_low": low, "kappa_high": high}
    return {
        "variant": name,
        "evaluation": evaluation,
        "n": len(cells.examples),
        **{key: f"{number:.4f}" for key, number in figures.items()},
    }


def nested(cells: Cells) -> dict[str, Field]:
    """Return kappa where each fold's variant is chosen within its own training cells."""
    predicts = {variant.name: variant.predict(cells) for variant in TEXTS}
    said = np.zeros(len(cells.examples), dtype=np.int64)
    chosen = []
    for rows in folds(cells, 0):
        train = np.setdiff1d(cells.every, rows)
        inner = [train[place] for place in fitting.folds_of(cells.data.groups[train], 5)]
        best: tuple[float, str] = (-1.0, "")
        for name, predict in predicts.items():
            guess = np.zeros(len(cells.examples), dtype=np.int64)
            for part in inner:
                guess[part] = predict(np.setdiff1d(train, part), part).argmax(axis=1)
            reached = float(cohen_kappa_score(cells.data.labels[train], guess[train]))
            best = max(best, (reached, name))
        chosen.append(best[1])
        said[rows] = predicts[best[1]](train, rows).argmax(axis=1)
    counts = {name: chosen.count(name) for name in predicts if name in chosen}
    print("nested choice:", ", ".join(f"{name} {count}x" for name, count in counts.items()))
    low, high = interval(cells, said)
    name = "text variant chosen within the training folds (nested)"
    return row(name, "ten folds", cells, kappa(cells, said), low, high)


def learning_curve(cells: Cells) -> Iterator[dict[str, Field]]:
    """Yield kappa by how many of the training scenarios are learnt from, ten folds."""
    predict = SHIPPED.predict(cells)
    groups = cells.data.groups
    sizes, reached = [], []
    for share in SHARES:
        found = []
        for draw in range(1 if share == 1 else DRAWS):
            rng = np.random.default_rng(draw)

            def part(train: Index, rows: Index) -> Chances:
                present = np.unique(groups[train])
                kept = rng.permutation(present)[: round(share * len(present))]  # noqa: B023
                return predict(train[np.isin(groups[train], kept)], rows)

            found.append(kappa(cells, labels_of(part, cells, folds(cells, draw))))
        size = round(share * (1 - 1 / distil.FOLDS) * len(np.unique(groups)))
        sizes.append(size)
        reached.append(float(np.mean(found)))
        yield limit("learning curve: kappa", f"{size} scenarios", len(found), reached[-1])
    slope, start = np.polyfit(np.log2(sizes), reached, 1)
    yield limit("learning curve: gain per doubling", "fit", len(sizes), float(slope))
    for size in (106, 142):
        value = float(start + slope * np.log2(size))
        yield limit("learning curve: extrapolated", f"{size} scenarios", len(sizes), value)


def limit(estimate: str, at: str, n: int, value: float) -> dict[str, Field]:
    """Return a row of limits.csv."""
    return {"estimate": estimate, "at": at, "n": n, "value": f"{value:.4f}"}


def likeness(cells: Cells) -> NDArray[np.float64]:
    """Return cosines of the responses' tf-idf rows; another scenario's are below all."""
    counts = cells.data.views[0]
    rows = fitting.weighted(counts, fitting.rarity(counts, cells.data.groups))
    near: NDArray[np.float64] = (rows @ rows.T).toarray()
    near[cells.data.groups[:, None] != cells.data.groups[None, :]] = -1.0
    np.fill_diagonal(near, -2.0)
    return near


def label_noise(cells: Cells) -> Iterator[dict[str, Field]]:
    """Yield how often like responses to one scenario were labelled differently.

    Cover and Hart (1967, IEEE Transactions on Information Theory 13, 21-27): the nearest
    neighbour's error R bounds the least error of any classifier of these rows from below by
    (c-1)/c (1 - sqrt(1 - c R/(c-1))) as the sample grows; here it is an estimate, not a bound.
    """
    near, labels = likeness(cells), cells.data.labels
    # loops are like each other and labelled alike: no sign of how even the labels are
    sound = labels != LABELS.index("nonsensical")
    for threshold in SIMILAR:
        alike = np.triu(near >= threshold) & sound[:, None] & sound[None, :]
        first, second = np.nonzero(alike)
        share = float((labels[first] != labels[second]).mean()) if len(first) else float("nan")
        yield limit("labels differ, like responses", f"cosine >= {threshold}", len(first), share)
    nearest = near.argmax(axis=1)
    error = float((labels != labels[nearest]).mean())
    many = len(LABELS)
    root = np.sqrt(max(0.0, 1 - many * error / (many - 1)))
    yield limit("nearest neighbour in the scenario", "error", len(labels), error)
    yield limit(
        "nearest neighbour in the scenario", "kappa", len(labels), kappa(cells, labels[nearest])
    )
    least = float((many - 1) / many * (1 - root))
    yield limit("Cover-Hart", "least error", len(labels), least)
    shares = np.bincount(labels, minlength=many) / len(labels)
    by_chance = float((shares**2).sum())
    yield limit("Cover-Hart", "kappa at it", len(labels), 1 - least / (1 - by_chance))


def other_judges(cells: Cells, run: Path) -> Iterator[dict[str, Field]]:
    """Yield kappa between every two judges of the run, on the cells that both label."""
    truth = {
        one.completion.id: LABELS[label]
        for one, label in zip(cells.examples, cells.data.labels, strict=True)
    }
    given: dict[str, dict[str, str]] = {"published": truth}
    for path in sorted((run / "labels").glob("*/*.jsonl")):
        for judge, group in read_labels([path]).items():
            given.setdefault(judge, {}).update({name: row.label for name, row in group.items()})
    names = sorted(given)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            both = sorted(given[one].keys() & given[other].keys() & truth.keys())
            value = cohen_kappa_score(
                [given[one][n] for n in both], [given[other][n] for n in both]
            )
            yield limit("two judges: kappa", f"{one} and {other}", len(both), float(value))


def read_cells(run: Path) -> Cells:
    """Read a replay's completions of complete models with their published labels."""
    completions = read_completions(sorted((run / "completions").glob("*.jsonl")))
    labels = read_labels(sorted((run / "labels" / "published").glob("*.jsonl")))["published"]
    examples, _ = distil.examples_of(completions, labels)
    return Cells(examples, distil.prepare(examples, RulesJudge.load()).data)


def main() -> None:
    """Write both tables and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="a finished replay, say results/replay")
    parser.add_argument("--output-dir", type=Path, default=Path("results/bench/judges"))
    words = parser.parse_args()
    if any(os.environ.get(name) != value for name, value in PINNED.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **PINNED})
    cells = read_cells(words.run)
    words.output_dir.mkdir(parents=True, exist_ok=True)
    limits = [*label_noise(cells), *other_judges(cells, words.run), *learning_curve(cells)]
    write_csv(words.output_dir / "limits.csv", LIMITS, limits)
    for line in limits:
        print(*line.values(), sep=" | ", flush=True)
    table: list[dict[str, Field]] = []
    tried = [(variant.name, variant.predict(cells), ORDERS) for variant in TEXTS]
    tried += [(name, predict, 0) for name, predict in others(cells)]
    for name, predict, orders in tried:
        for line in rows_of(name, predict, cells, orders):
            print(*line.values(), sep=" | ", flush=True)
            table.append(line)
    table.append(nested(cells))
    print(*table[-1].values(), sep=" | ", flush=True)
    write_csv(words.output_dir / "variants.csv", VARIANTS, table)


if __name__ == "__main__":
    main()
