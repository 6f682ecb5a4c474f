"""Control directions: what a direction of this length does that has learnt nothing.

Strong pushes move a model whatever their direction, so an effect counts only beside those of
random directions of the same norm.
"""

import numpy as np

from steerability.learn.ordered import Array, norms


def random_directions(rows: Array, count: int, seed: int = 0) -> list[Array]:
    """Return random directions, each layer as long as the one it is set against.

    Every layer gets a random point of the unit sphere, independent of the others, times the norm
    of that layer's row; layers without a direction get none.

    Args:
        rows: blocks × width.
        count: how many.
        seed: the first ``n`` of a seed are the same for every ``count``.
    """
    lengths = norms(rows)
    found = []
    for number in range(count):
        generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, number])))
        drawn = generator.standard_normal(rows.shape)
        found.append(drawn * (lengths / norms(drawn))[:, None])
    return found
