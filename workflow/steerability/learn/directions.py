"""Directions from contrast pairs: mean difference and principal component, and what tells them.

Activations are those of ``Engine.read``: float64, pairs × blocks × width, each block's output. The
row of block k is the direction that is added to the output of block k; that of block 0 is made
too, but no control vector can apply it.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from steerability.learn.ordered import Array, norms, products, total

Method = Literal["mean", "pca"]
# A matrix to the power of 2**24: of two eigenvalues that differ by a millionth the larger has
# outgrown the other ten million times.
_SQUARINGS = 24
_ROUNDING = 1e-24


def mean_difference(a: Array, b: Array) -> Array:
    """Return the mean activation of one side minus that of the other, blocks × width.

    As in CAA (Rimsky et al. 2024) and Arditi et al. (2024).

    Args:
        a: activations of the first sides.
        b: of the second sides.
    """
    return total(a) / len(a) - total(b) / len(b)


def principal_component(a: Array, b: Array) -> Array:
    """Return the first principal component of the centred pair differences, blocks × width.

    As in repeng: unit norm, and the sign by which the first side of most pairs lies further along
    it; of a tie that of the mean difference decides. Rows of blocks where all pairs differ alike
    are zero.

    Args:
        a: activations of the first sides.
        b: of the second sides.
    """
    differences = a - b
    return np.stack([_component(differences[:, block]) for block in range(a.shape[1])])


def directions(method: Method, a: Array, b: Array) -> Array:
    """Return the directions of a method."""
    return mean_difference(a, b) if method == "mean" else principal_component(a, b)


def _component(differences: Array) -> Array:
    """Return the component of one block, by squaring the pairs' Gram matrix again and again."""
    centred = differences - total(differences) / len(differences)
    gram = products(centred, centred.T)
    if float(gram.max()) <= _ROUNDING * float((differences * differences).max()):
        return np.zeros(differences.shape[1], np.float64)
    for _ in range(_SQUARINGS):
        gram = gram / np.abs(gram).max()
        gram = products(gram, gram)
    weights = gram[:, int(np.argmax(np.diagonal(gram)))]
    component: Array = products(weights[None], centred)[0]
    component = component / norms(component[None])[0]
    along = products(differences, component[:, None])[:, 0]
    ahead, behind = int((along > 0).sum()), int((along < 0).sum())
    side = ahead - behind if ahead != behind else float(total(along))
    return component if side >= 0 else -component


def auroc(high: Array, low: Array) -> float:
    """Return the chance that one of the first numbers exceeds one of the second; ties count half.

    The area under the ROC curve as Mann and Whitney's statistic.
    """
    above = (high[:, None] > low[None]).sum() + 0.5 * (high[:, None] == low[None]).sum()
    return float(above / (len(high) * len(low)))


def cosines(left: Array, right: Array) -> Array:
    """Return the cosine of each row with the same row of another set; 0 where one is zero."""
    lengths = norms(left) * norms(right)
    dots = total((left * right).T)
    return np.divide(dots, lengths, out=np.zeros_like(dots), where=lengths > 0)


@dataclass(frozen=True)
class Learnt:
    """Directions with the activations that they were made of."""

    method: Method
    a: Array
    b: Array
    rows: Array

    @classmethod
    def of(cls, method: Method, a: Array, b: Array) -> "Learnt":
        """Learn directions."""
        return cls(method, a, b, directions(method, a, b))

    def facts(self, layers: range) -> list[dict[str, Any]]:
        """Return what is worth knowing of every layer.

        ``norm`` of the direction, ``activation_norm`` (mean over both sides), ``share`` (their
        ratio), ``auroc`` of the projections (on the pairs it was learnt from, so near 1 says
        little), ``cosine_to_next`` (with the next block's direction), ``cosine_to_other`` (with
        that of the other method).

        Args:
            layers: blocks.
        """
        other = directions("pca" if self.method == "mean" else "mean", self.a, self.b)
        alike = cosines(self.rows, other)
        following = cosines(self.rows[:-1], self.rows[1:])
        lengths = norms(self.rows)
        found = []
        for block in layers:
            both = np.concatenate([self.a[:, block], self.b[:, block]])
            size = float(total(norms(both)) / len(both))
            row = self.rows[block][:, None]
            high, low = (products(side[:, block], row)[:, 0] for side in (self.a, self.b))
            found.append(
                {
                    "layer": block,
                    "norm": _short(lengths[block]),
                    "activation_norm": _short(size),
                    "share": _short(lengths[block] / size if size else 0.0),
                    "auroc": _short(auroc(high, low)),
                    "cosine_to_next": _short(following[block]) if block < len(following) else None,
                    "cosine_to_other": _short(alike[block]),
                }
            )
        return found


def _short(value: float) -> float:
    return round(float(value), 6)
