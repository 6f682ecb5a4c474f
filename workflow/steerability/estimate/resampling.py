"""The random draws that everything over the same scenarios shares."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from steerability.config.analysis import Analysis
from steerability.estimate.bootstrap import Weights, scenario_weights
from steerability.estimate.p_values import Swaps, swap_matrix


class Resampling:
    """Bootstrap weights and permutation swaps of some scenarios, drawn when first asked for.

    Args:
        categories: the category of each scenario.
        plan: how many draws, and their seed.
    """

    def __init__(self, categories: Sequence[str], plan: Analysis) -> None:
        self._categories = np.array(categories)
        self._plan = plan

    @cached_property
    def weights(self) -> Weights:
        """How often each scenario is in each resample; see ``bootstrap.scenario_weights``."""
        names = dict.fromkeys(self._categories.tolist())
        strata = [np.flatnonzero(self._categories == name) for name in names]
        return scenario_weights(strata, self._plan.resamples, self._plan.seed)

    @cached_property
    def swaps(self) -> Swaps:
        """Which scenarios each permutation swaps; see ``p_values.swap_matrix``."""
        plan = self._plan
        return swap_matrix(len(self._categories), plan.permutations, plan.seed)


class Resamplings:
    """One ``Resampling`` for every row of categories, made once.

    Args:
        plan: how many draws, and their seed.
    """

    def __init__(self, plan: Analysis) -> None:
        self._plan = plan
        self._known: dict[tuple[str, ...], Resampling] = {}

    def of(self, categories: Sequence[str]) -> Resampling:
        """Return the draws of scenarios in these categories."""
        key = tuple(categories)
        if key not in self._known:
            self._known[key] = Resampling(key, self._plan)
        return self._known[key]
