"""Fitting the ``distilled`` judge: a linear model in the span of its training responses.

The text's part is a logistic regression on the leading components of the training responses
(latent semantic analysis: Deerwester et al. 1990, by the eigenvectors of their Gram matrix), then
carried back to one weight per term. Kept components bound how much text can be learnt by heart.
A term weighs by its rarity among the training scenarios (inverse document frequency: Sparck Jones
1972, Journal of Documentation 28, 11-21) and counts only where enough of them hold it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_matrix, diags
from sklearn.linear_model import LogisticRegression

from steerability.protocol.records import LABELS
from steerability.trained_judge.features import FEWEST_SCENARIOS

Matrix = NDArray[np.float64]
Index = NDArray[np.int64]

COMPONENTS = 120
SHARES = (2 / 3, 1 / 3)
TEXT_SCALE = 3.0
INVERSE_PENALTY = 1.0
CLIP = 3.0
INNER_FOLDS = 4
_SMALLEST_EIGENVALUE = 1e-8
_SMALLEST_DEVIATION = 1e-6
_RARE = -20.0


@dataclass(frozen=True)
class Data:
    """Everything that fits are made from, prepared once.

    Attributes:
        table: the rows of numbers, shape (n, columns).
        weights: prior weight of each column, shape (columns,).
        views: 1 + ln of the counts of terms, one matrix per view, shape (n, terms).
        labels: index into ``LABELS``, shape (n,).
        groups: index of the scenario, shape (n,).
    """

    table: Matrix
    weights: Matrix
    views: tuple[csr_matrix, ...]
    labels: Index
    groups: Index


@dataclass(frozen=True)
class Fit:
    """A fitted model over some training rows.

    Attributes:
        mean: of the columns.
        scale: of the columns; 1 where a column does not vary.
        columns: weights of the standardised columns, shape (labels, columns).
        rarities: of each view's terms, shape (terms,).
        texts: weights of each view's terms, shape (labels, terms).
        intercept: shape (labels,).
    """

    mean: Matrix
    scale: Matrix
    columns: Matrix
    rarities: tuple[Matrix, ...]
    texts: tuple[Matrix, ...]
    intercept: Matrix

    def scores(self, data: Data, rows: Index) -> Matrix:
        """Return the labels' scores of rows of the data, shape (rows, labels)."""
        result: Matrix = standardised(data.table[rows], self.mean, self.scale) @ self.columns.T
        for counts, rarity, weights in zip(data.views, self.rarities, self.texts, strict=True):
            result = result + weighted(counts[rows], rarity) @ weights.T
        return result + self.intercept


def weighted(counts: csr_matrix, rarity: Matrix) -> csr_matrix:
    """Return rows of terms, each times its rarity, with length 1; empty rows stay empty."""
    rows = counts @ diags(rarity)
    lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    return csr_matrix(diags(1.0 / np.where(lengths > 0, lengths, 1.0)) @ rows)


def rarity(counts: csr_matrix, groups: Index) -> Matrix:
    """Return ln((1 + scenarios) / (1 + those with the term)) + 1; 0 for a term of too few.

    Args:
        counts: shape (n, terms); only which are there matters.
        groups: the scenario of each row.
    """
    found, places = np.unique(groups, return_inverse=True)
    picked = csr_matrix((np.ones(len(places)), (places, np.arange(len(places)))))
    holding = np.asarray(((picked @ (counts > 0).astype(np.float64)) > 0).sum(axis=0)).ravel()
    # as it is kept in the file
    value = (np.log((1 + len(found)) / (1 + holding)) + 1).astype(np.float32).astype(np.float64)
    return np.where(holding >= FEWEST_SCENARIOS, value, 0.0)


def standardised(table: Matrix, mean: Matrix, scale: Matrix) -> Matrix:
    """Return a table with its columns centred, scaled and clipped at three deviations."""
    result: Matrix = np.clip((table - mean) / scale, -CLIP, CLIP)
    return result


def fit(data: Data, train: Index) -> Fit:
    """Fit the model on training rows.

    A label that the training rows lack gets a score that makes it next to impossible.
    """
    table = data.table[train]
    # as they are kept in the file: a fit must not rest on digits that are lost there
    mean = table.mean(axis=0).astype(np.float32).astype(np.float64)
    scale = table.std(axis=0).astype(np.float32).astype(np.float64)
    scale = np.where(scale > _SMALLEST_DEVIATION, scale, 1.0)
    numbers = standardised(table, mean, scale) * data.weights
    size = len(train)
    kept = min(COMPONENTS, size)
    rarities = tuple(rarity(counts[train], data.groups[train]) for counts in data.views)
    rows = [weighted(view[train], rare) for view, rare in zip(data.views, rarities, strict=True)]
    gram = sum(share * (row @ row.T).toarray() for share, row in zip(SHARES, rows, strict=True))
    values, vectors = eigh(gram, subset_by_index=[size - kept, size - 1])
    large = values > _SMALLEST_EIGENVALUE
    roots = np.sqrt(values[large])
    components = vectors[:, large] * roots
    model = LogisticRegression(C=INVERSE_PENALTY, tol=1e-5, max_iter=1000)
    model.fit(np.hstack([numbers, TEXT_SCALE * components]), data.labels[train])
    coefficients, intercepts = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        coefficients = np.vstack([-coefficients, coefficients])
        intercepts = np.concatenate([-intercepts, intercepts])
    width = numbers.shape[1]
    columns = np.zeros((len(LABELS), width))
    dual = np.zeros((len(LABELS), size))
    intercept = np.full(len(LABELS), _RARE)
    columns[model.classes_] = coefficients[:, :width] * data.weights
    dual[model.classes_] = TEXT_SCALE * coefficients[:, width:] @ (vectors[:, large] / roots).T
    intercept[model.classes_] = intercepts
    texts = tuple(
        share * np.asarray((row.T @ dual.T).T) for share, row in zip(SHARES, rows, strict=True)
    )
    return Fit(mean, scale, columns, rarities, texts, intercept)


def folds_of(groups: Index, folds: int) -> list[Index]:
    """Return the rows of each fold: whole groups, dealt out in turn in their order."""
    present = np.unique(groups)
    place = {group: at % folds for at, group in enumerate(present.tolist())}
    assigned = np.array([place[group] for group in groups.tolist()])
    return [np.flatnonzero(assigned == fold) for fold in range(min(folds, len(present)))]


def temperature(data: Data, train: Index) -> float:
    """Return the temperature that calibrates a fit on ``train``, from folds within ``train``.

    Source: Guo et al. (2017), On Calibration of Modern Neural Networks: scores are divided by the
    number that makes held-out labels likeliest. Rounded to three decimals.
    """
    scores = np.zeros((len(train), len(LABELS)))
    for inner in folds_of(data.groups[train], INNER_FOLDS):
        rest = np.setdiff1d(np.arange(len(train)), inner)
        scores[inner] = fit(data, train[rest]).scores(data, train[inner])
    labels = data.labels[train]

    def loss(value: float) -> float:
        scaled = scores / value
        top = scaled.max(axis=1)
        total = np.log(np.exp(scaled - top[:, None]).sum(axis=1)) + top
        return float((total - scaled[np.arange(len(train)), labels]).mean())

    found = minimize_scalar(loss, bounds=(0.25, 4.0), method="bounded")
    return round(float(found.x), 3)
