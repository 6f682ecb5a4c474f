"""How many sequences run at a time: on a CPU as many as jobs, lanes and memory allow."""

from dataclasses import dataclass

from steerability.engine.contexts import Contexts
from steerability.engine.lanes import LANE_BYTES, balanced, lanes_for, parts
from steerability.engine.memory import Demand, available, fitting_width

CPU_WIDTH = 16


@dataclass(frozen=True)
class Widths:
    """The slots of each lane.

    Attributes:
        demand: what the model needs of memory.
        loaded: whether its weights are in memory already.
        contexts: those at hand, which need no new memory.
        threads: CPU threads.
        parallel: sequences at a time, if that is decided.
        fixed: the width of the one lane that an accelerator has.
    """

    demand: Demand
    loaded: bool
    contexts: Contexts
    threads: int
    parallel: int | None
    fixed: int | None = None

    def decoding(self, tokens: int, jobs: int) -> list[int]:
        """Return the slots of each lane for generating.

        Args:
            tokens: of the longest job.
            jobs: how many may run side by side.
        """
        if self.fixed is not None:
            return [self.fixed]
        most = self.parallel or CPU_WIDTH * self._lanes(CPU_WIDTH * self.threads)
        width = self._fitting(tokens, min(balanced(jobs, most), jobs))
        return parts(width, self._lanes(width))

    def single(self, tokens: int, jobs: int) -> list[int]:
        """Return a slot for each lane: to score or to read, one sequence at a time in each."""
        return [1] * self._fitting(tokens, min(self._lanes(jobs), self.parallel or jobs))

    def _lanes(self, sequences: int) -> int:
        if self.fixed is not None:
            return 1
        return lanes_for(self.demand.weights, self.threads, sequences)

    def _fitting(self, tokens: int, wanted: int) -> int:
        if self.contexts.holds(tokens, wanted):
            return wanted
        demand = self.demand.loaded() if self.loaded else self.demand
        free = available() - (self._lanes(wanted) - 1) * LANE_BYTES
        return fitting_width(demand, tokens, wanted, free)
