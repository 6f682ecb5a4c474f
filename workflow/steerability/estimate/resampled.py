"""A model's labels in every resample of the scenarios."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from steerability.estimate.bootstrap import Draws, Weights, divide, exact_product
from steerability.estimate.grid import Grid


@dataclass(frozen=True)
class Resampled:
    """One model of a grid, counted anew in every resample.

    Attributes:
        grid: the labels.
        model: position in ``grid.models``.
        weights: from ``scenario_weights``; shared by everything that is compared.
    """

    grid: Grid
    model: int
    weights: Weights

    @cached_property
    def interventions(self) -> tuple[str, ...]:
        """The interventions under which the model has an output."""
        grid = self.grid
        return tuple(name for name in grid.interventions if grid.present(self.model, name))

    @cached_property
    def _hits(self) -> Draws:
        """Outputs of every outcome, shape (interventions, outcomes, resamples)."""
        labels = self.grid.scale.labels
        rows = np.stack(
            [
                self.grid.counted(self.model, name, outcome).hits
                for name in self.interventions
                for outcome in labels
            ]
        )
        shape = (len(self.interventions), len(labels), len(self.weights))
        return exact_product(self.weights, rows).reshape(shape)

    @cached_property
    def _among(self) -> tuple[Draws, Draws]:
        """Valid outputs and all outputs, each of shape (interventions, resamples)."""
        valid, everything = (
            np.stack(
                [self.grid.counted(self.model, n, over_all=o).among for n in self.interventions]
            )
            for o in (False, True)
        )
        return exact_product(self.weights, valid), exact_product(self.weights, everything)

    def within(self, category: str) -> "Resampled":
        """Return the same over the scenarios of one category."""
        grid = self.grid
        kept = [at for at, name in enumerate(grid.categories) if name == category]
        part = grid.of_scenarios([grid.scenarios[at] for at in kept])
        weights = self.weights[:, kept] if grid.samples > 1 else self.weights[:0, kept]
        return Resampled(part, self.model, weights)

    def draws(self, intervention: str, outcome: str, *, over_all: bool = False) -> Draws:
        """Return the rate of an outcome in every resample.

        Args:
            intervention: one of ``interventions``.
            outcome: an outcome or ``judge_failed``.
            over_all: over all outputs in place of valid ones, as an invalid outcome always is.

        Returns:
            Shape (resamples,); NaN where a resample holds no output to count.
        """
        at, code = self.interventions.index(intervention), self.grid.code(outcome)
        everything = over_all or not self.grid.counted_codes[code]
        return divide(self._hits[at, code], self._among[int(everything)][at])
