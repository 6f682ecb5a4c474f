"""Jobs run over the contexts at hand, one adapter set after the other."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from steerability.engine.adapters import Adapters, grouped
from steerability.engine.context import Context
from steerability.engine.decoding import Decoder
from steerability.engine.lanes import Plan, Tick, side_by_side
from steerability.engine.prefixes import Prefixes, in_order
from steerability.engine.selfcheck import SelfCheck


class AnyJob(Protocol):
    """What every job has."""

    @property
    def prompt(self) -> tuple[int, ...]:
        """Token ids."""

    @property
    def adapters(self) -> Adapters:
        """What acts on the model."""


class Worker(Protocol):
    """What runs a lane's jobs: a decoder, a scorer, a reader."""

    prefixes: Prefixes

    def run(
        self, jobs: Any, plan: Plan, lane: int = 0, progress: Tick = ...
    ) -> Iterator[tuple[int, Any]]:
        """Run a lane's jobs and yield them with their places."""


def largest_group(jobs: Sequence[AnyJob]) -> int:
    """Return how many jobs at most have an adapter set in common."""
    return max(len(members) for _, members in grouped([job.adapters for job in jobs]))


@dataclass
class Tally:
    """What was done, for the facts.

    Attributes:
        workers: all that ran.
        checks: of every adapter set.
        width: slots in use, of all lanes; of the narrowest set.
    """

    contexts: Sequence[Context]
    workers: list[Worker] = field(default_factory=list)
    checks: list[SelfCheck] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._inside = self._now()
        self._begun = time.monotonic()

    def _now(self) -> float:
        return sum(context.seconds_inside for context in self.contexts)

    @property
    def width(self) -> int:
        """Slots in use, of all lanes together; with the adapters that allow the fewest."""
        most = min((check.width for check in self.checks), default=0)
        return sum(min(most, context.layout.width) for context in self.contexts)

    def facts(self, seconds: str) -> dict[str, Any]:
        """Return the facts.

        Args:
            seconds: what to call the time that passed.
        """
        found: dict[str, Any] = {
            seconds: round(time.monotonic() - self._begun, 3),
            "seconds_in_llama_cpp": round((self._now() - self._inside) / len(self.contexts), 3),
            "prompt_tokens_evaluated": sum(one.prefixes.evaluated for one in self.workers),
            "prompt_tokens_copied": sum(one.prefixes.copied for one in self.workers),
        }
        if self.checks:
            narrowest = min(self.checks, key=lambda check: check.width)
            found["self_check"] = narrowest.facts()
        decoders = [one for one in self.workers if isinstance(one, Decoder)]
        if decoders:
            found["width"] = self.width
            found["tokens_generated"] = sum(one.generated for one in decoders)
        return found


def run_groups(
    jobs: Sequence[AnyJob],
    wear: Callable[[Adapters], SelfCheck],
    work: Callable[[Context, SelfCheck], Worker],
    tally: Tally,
    progress: Tick,
) -> Iterator[tuple[int, Any]]:
    """Run jobs, those with the same adapters together.

    Args:
        jobs: all of them.
        wear: puts an adapter set on the tally's contexts.
        work: makes what runs a lane's jobs on a context.
        tally: counts what is done.
        progress: see ``side_by_side``.

    Yields:
        ``(index into jobs, what came of it)``.
    """
    prompts = [job.prompt for job in jobs]
    for adapters, members in grouped([job.adapters for job in jobs]):
        check = wear(adapters)
        tally.checks.append(check)
        workers = [work(context, check) for context in tally.contexts]
        tally.workers += workers
        plan = Plan(in_order(prompts, members), len(workers))
        works = [partial(one.run, jobs, plan, lane) for lane, one in enumerate(workers)]
        yield from side_by_side(works, plan, progress)
