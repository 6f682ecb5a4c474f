"""Sums in float64 whose order is fixed, so that they are the same bits on every machine.

BLAS and numpy's reductions choose code, and with it the order of additions, by the CPU and the
number of threads. Everything here is made of element-wise products and sums, one term after the
other, which IEEE 754 defines.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def total(values: Array) -> Array:
    """Return the sum over the first axis."""
    found = np.zeros(values.shape[1:], np.float64)
    for value in values:
        found = found + value
    return found


def products(left: Array, right: Array) -> Array:
    """Return the matrix product ``left @ right``.

    Args:
        left: n × k.
        right: k × m.
    """
    found = np.zeros((left.shape[0], right.shape[1]), np.float64)
    for place in range(left.shape[1]):
        found += left[:, place, None] * right[None, place, :]
    return found


def norms(rows: Array) -> Array:
    """Return the Euclidean norm of every row."""
    return np.asarray(np.sqrt(total((rows * rows).T)), np.float64)
