"""Fitting the ``distilled`` judge: a linear model in the span of its training responses.

The text's part is a logistic regression on the leading components of the training responses
(latent semantic analysis: Deerwester et al. 1990, by the eigenvectors of their Gram matrix), then
carried back to one weight per bucket. Kept components bound how much text can be learnt by heart.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from steerability.records import LABELS

Matrix = NDArray[np.float64]
Index = NDArray[np.int64]

COMPONENTS = 120
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
        text: the hashed rows, shape (n, buckets).
        gram: inner products of the hashed rows, shape (n, n).
        labels: index into ``LABELS``, shape (n,).
        groups: index of the scenario, shape (n,).
    """

    table: Matrix
    weights: Matrix
    text: csr_matrix
    gram: Matrix
    labels: Index
    groups: Index


@dataclass(frozen=True)
class Fit:
    """A fitted model over some training rows.

    Attributes:
        mean: of the columns.
        scale: of the columns; 1 where a column does not vary.
        columns: weights of the standardised columns, shape (labels, columns).
        dual: weights of the training rows' texts, shape (labels, training rows).
        intercept: shape (labels,).
        train: the training rows.
    """

    mean: Matrix
    scale: Matrix
    columns: Matrix
    dual: Matrix
    intercept: Matrix
    train: Index

    def scores(self, data: Data, rows: Index) -> Matrix:
        """Return the labels' scores of rows of the data, shape (rows, labels)."""
        table = standardised(data.table[rows], self.mean, self.scale)
        texts = data.gram[np.ix_(rows, self.train)]
        result: Matrix = table @ self.columns.T + texts @ self.dual.T + self.intercept
        return result

    def text_weights(self, data: Data) -> Matrix:
        """Return one weight per label and bucket, shape (labels, buckets)."""
        weights: Matrix = np.asarray((data.text[self.train].T @ self.dual.T).T)
        return weights


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
    values, vectors = eigh(data.gram[np.ix_(train, train)], subset_by_index=[size - kept, size - 1])
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
    return Fit(mean, scale, columns, dual, intercept, train)


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
