"""Running many requests over the slots of one context."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from steerability.engine.context import Context
from steerability.engine.prefixes import Prefixes, in_order
from steerability.engine.sampling import Choose, Sampling, chooser

FinishReason = Literal["stop", "length", "context"]


@dataclass(frozen=True)
class Job:
    """One text to generate.

    Attributes:
        prompt: token ids, at least one, fewer than the context window.
        max_tokens: most tokens to generate.
        stop: token ids that end the text.
        sampling: None for greedy.
    """

    prompt: tuple[int, ...]
    max_tokens: int
    stop: frozenset[int]
    sampling: Sampling | None = None

    def limit(self, window: int) -> int:
        """Return how many tokens may be generated before the limit or the window ends it."""
        return min(self.max_tokens, window - len(self.prompt))


@dataclass(frozen=True)
class Generation:
    """The tokens of one job; the stop token is not among them."""

    tokens: tuple[int, ...]
    finish_reason: FinishReason


@dataclass
class _Running:
    index: int
    job: Job
    limit: int
    choose: Choose
    tokens: list[int] = field(default_factory=list)

    def take(self, token: int) -> Generation | None:
        if token in self.job.stop:
            return Generation(tuple(self.tokens), "stop")
        self.tokens.append(token)
        if len(self.tokens) < self.limit:
            return None
        reason: FinishReason = "length" if self.limit == self.job.max_tokens else "context"
        return Generation(tuple(self.tokens), reason)

    @property
    def position(self) -> int:
        return len(self.job.prompt) + len(self.tokens) - 1


class Decoder:
    """Generates jobs; slots are kept full and without holes.

    Args:
        context: where to run.
        width: slots to use, at most those of the context.
        window: the model's context window in tokens.
        share: evaluate shared prefixes once.
        progress: called with the number of tokens made at every step.
    """

    def __init__(
        self,
        context: Context,
        width: int,
        window: int,
        *,
        share: bool = True,
        progress: Callable[[int], None] = lambda tokens: None,
    ) -> None:
        self._context = context
        self._width = width
        self._window = window
        self._progress = progress
        self.prefixes = Prefixes(context, share=share)
        self.generated = 0

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Generation]]:
        """Generate all jobs, yielding ``(index, generation)`` as each is finished."""
        order = deque(in_order([job.prompt for job in jobs]))
        done: deque[tuple[int, Generation]] = deque()
        slots: list[_Running] = []
        while True:
            while order and len(slots) < self._width:
                started = self._start(len(slots), jobs, order, done)
                while done:
                    yield done.popleft()
                if started is not None:
                    slots.append(started)
            if not slots:
                return
            self._step(slots, jobs, order, done)
            while done:
                yield done.popleft()

    def _start(
        self,
        slot: int,
        jobs: Sequence[Job],
        order: deque[int],
        done: deque[tuple[int, Generation]],
    ) -> _Running | None:
        """Fill a slot with the next job that does not end at once."""
        while order:
            index = order.popleft()
            job = jobs[index]
            running = _Running(index, job, job.limit(self._window), chooser(job.sampling))
            following = jobs[order[0]].prompt if order else None
            logits = self.prefixes.evaluate(slot, job.prompt, following)
            ended = running.take(running.choose(logits[0]))
            self._count(1)
            if ended is None:
                return running
            done.append((index, ended))
        return None

    def _step(
        self,
        slots: list[_Running],
        jobs: Sequence[Job],
        order: deque[int],
        done: deque[tuple[int, Generation]],
    ) -> None:
        """Make one token in every slot and put new jobs in place of finished ones."""
        logits = self._context.step(
            [running.tokens[-1] for running in slots], [running.position for running in slots]
        )
        # the logits are llama.cpp's own buffer: read them all before anything is evaluated
        ended = [
            running.take(running.choose(row)) for running, row in zip(slots, logits, strict=True)
        ]
        self._count(len(slots))
        for slot in reversed(range(len(ended))):
            generation = ended[slot]
            if generation is None:
                continue
            done.append((slots[slot].index, generation))
            started = self._start(slot, jobs, order, done)
            if started is not None:
                slots[slot] = started
                continue
            # nothing is waiting: the last slot moves into the hole, as llama.cpp wants
            # consecutive slots for one step
            last = len(slots) - 1
            if slot != last:
                self._context.restore(slot, self._context.save(last))
                slots[slot] = slots[last]
            self._context.forget(last)
            slots.pop()

    def _count(self, tokens: int) -> None:
        self.generated += tokens
        self._progress(tokens)
