"""Work that needs one slot: jobs one after the other, what neighbours share evaluated once."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from steerability.engine.context import Context
from steerability.engine.lanes import Plan
from steerability.engine.prefixes import Prefixes

Job = TypeVar("Job")
Result = TypeVar("Result")


class OneByOne(ABC, Generic[Job, Result]):
    """Runs jobs one after the other on slot 0 of a context.

    Args:
        context: where to run.
        share: evaluate shared prefixes once; the results are the same.
    """

    def __init__(self, context: Context, *, share: bool = True) -> None:
        self.context = context
        self.prefixes = Prefixes(context, share=share)

    def run(
        self,
        jobs: Sequence[Job],
        plan: Plan,
        lane: int = 0,
        progress: Callable[[int], None] = lambda tokens: None,
    ) -> Iterator[tuple[int, Result]]:
        """Run a lane's jobs.

        Args:
            jobs: all jobs.
            plan: which of them, and in which order.
            lane: the lane.
            progress: called with the number of tokens evaluated or copied, for every job.

        Yields:
            ``(index into jobs, result)``.
        """
        while taken := plan.take(lane):
            job = jobs[taken[0]]
            result = self.answer(job)
            progress(self.tokens(job))
            yield taken[0], result

    @abstractmethod
    def answer(self, job: Job) -> Result:
        """Return the result of one job."""

    @abstractmethod
    def tokens(self, job: Job) -> int:
        """Return how many tokens a job counts for in the progress."""
