"""Running many requests over the slots of one context."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from steerability.engine.adapters import NONE, Adapters
from steerability.engine.context import Context
from steerability.engine.lanes import Plan
from steerability.engine.prefixes import Prefixes
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
        adapters: what acts on the model from the prompt's first token on.
    """

    prompt: tuple[int, ...]
    max_tokens: int
    stop: frozenset[int]
    sampling: Sampling | None = None
    adapters: Adapters = NONE

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
    """Generates a lane's jobs; slots are kept full and without holes.

    Args:
        context: where to run.
        width: slots to use, at most those of the context.
        window: the model's context window in tokens.
        share: evaluate shared prefixes once.
    """

    def __init__(self, context: Context, width: int, window: int, *, share: bool = True) -> None:
        self._context = context
        self._width = width
        self._window = window
        self.prefixes = Prefixes(context, share=share)
        self.generated = 0

    def run(
        self,
        jobs: Sequence[Job],
        plan: Plan,
        lane: int = 0,
        progress: Callable[[int], None] = lambda tokens: None,
    ) -> Iterator[tuple[int, Generation]]:
        """Generate a lane's jobs.

        Args:
            jobs: all jobs.
            plan: which of them, and in which order.
            lane: the lane.
            progress: called with the number of tokens made at every step.

        Yields:
            ``(index, generation)`` as each is finished.
        """
        done: deque[tuple[int, Generation]] = deque()
        slots: list[_Running] = []

        def start(slot: int) -> _Running | None:
            """Fill a slot with the next job that does not end at once."""
            while taken := plan.take(lane):
                index, after = taken
                job = jobs[index]
                running = _Running(index, job, job.limit(self._window), chooser(job.sampling))
                following = None if after is None else jobs[after].prompt
                logits = self.prefixes.evaluate(slot, job.prompt, following)
                ended = running.take(running.choose(logits[0]))
                count(1)
                if ended is None:
                    return running
                done.append((index, ended))
            return None

        def count(tokens: int) -> None:
            self.generated += tokens
            progress(tokens)

        while not plan.stopped:
            while len(slots) < self._width:
                started = start(len(slots))
                if started is None:
                    break
                slots.append(started)
                while done:
                    yield done.popleft()
            while done:
                yield done.popleft()
            if not slots:
                return
            ended = self._step(slots)
            count(len(slots))
            for slot in reversed(range(len(slots))):
                generation = ended[slot]
                if generation is None:
                    continue
                done.append((slots[slot].index, generation))
                started = start(slot)
                if started is not None:
                    slots[slot] = started
                else:
                    self._leave(slot, slots)

    def _step(self, slots: Sequence[_Running]) -> list[Generation | None]:
        """Make one token in every slot and return what that ended."""
        logits = self._context.step(
            [running.tokens[-1] for running in slots], [running.position for running in slots]
        )
        # the logits are llama.cpp's own buffer: read them all before anything is evaluated
        return [
            running.take(running.choose(row)) for running, row in zip(slots, logits, strict=True)
        ]

    def _leave(self, slot: int, slots: list[_Running]) -> None:
        """Empty a slot; the last moves into it, as llama.cpp wants consecutive slots for a step."""
        last = len(slots) - 1
        if slot != last:
            self._context.restore(slot, self._context.save(last))
            slots[slot] = slots[last]
        self._context.forget(last)
        slots.pop()
