"""Work side by side: lanes, each a thread with a context of its own over the same weights.

Threads of one context wait for each other after every operation, hundreds of times a step; in a
small model that costs more than the arithmetic. Lanes never wait for each other. What a job gets
does not depend on its lane, so the split is free.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeVar

Item = TypeVar("Item")
Tick = Callable[[int], None]

# Larger models are bound by how fast weights come from memory, and every lane reads them all.
SMALL_BYTES = 1 << 30
MOST = 4
# What each lane after the first needs beside its KV cache: buffers, logits, a saved prefix.
LANE_BYTES = 256 << 20
_NARROWEST = 4
# Every report wakes the thread that iterates, which takes a core from a lane.
_TELL_SECONDS = 0.25


def lanes_for(weights: int, threads: int, sequences: int) -> int:
    """Return how many lanes to use on a CPU.

    Args:
        weights: bytes of the weights.
        threads: CPU threads.
        sequences: how many can run at a time if they decode, each lane at least four of them.
    """
    if weights > SMALL_BYTES:
        return 1
    return max(1, min(threads, MOST, sequences // _NARROWEST))


def balanced(jobs: int, most: int) -> int:
    """Return the least width that needs no more rounds than ``most`` does.

    A last round of few sequences costs nearly as much as a full one: 24 jobs run as 12 and 12,
    not as 16 and 8.
    """
    rounds = -(-jobs // most)
    return -(-jobs // rounds)


def parts(whole: int, count: int) -> list[int]:
    """Return ``whole`` cut into ``count`` numbers as equal as can be, the largest first."""
    return [whole // count + (number < whole % count) for number in range(count)]


class Plan:
    """Jobs in the order of evaluation, a part of it for each lane.

    Parts are contiguous, so that neighbours that share a prefix stay together. A lane that has
    finished its part takes the further half of the longest part left.

    Args:
        order: indices of jobs.
        lanes: how many lanes there are.
    """

    def __init__(self, order: Sequence[int], lanes: int) -> None:
        rest = deque(order)
        self._parts = [
            deque(rest.popleft() for _ in range(size)) for size in parts(len(order), lanes)
        ]
        self._lock = Lock()
        self._stopped = False

    def stop(self) -> None:
        """Let every lane end after its current step."""
        self._stopped = True

    @property
    def stopped(self) -> bool:
        """Whether lanes should end."""
        return self._stopped

    def take(self, lane: int) -> tuple[int, int | None] | None:
        """Return the next job of a lane and the one after it; None when there is nothing left."""
        with self._lock:
            part = self._parts[lane]
            if not part:
                longest = max(self._parts, key=len)
                part.extendleft([longest.pop() for _ in range((len(longest) + 1) // 2)])
            if self._stopped or not part:
                return None
            return part.popleft(), part[0] if part else None


def side_by_side(
    works: Sequence[Callable[[Tick], Iterator[Item]]], plan: Plan, progress: Tick
) -> Iterator[Item]:
    """Run works in threads of their own and yield what they yield, as it comes.

    Args:
        works: each is called with a function to report progress to.
        plan: stopped when the iteration ends early or a work fails.
        progress: called in the thread that iterates.

    Raises:
        BaseException: what the first work that failed raised.
    """
    events: SimpleQueue[tuple[str, Any]] = SimpleQueue()

    def drive(work: Callable[[Tick], Iterator[Item]]) -> None:
        waiting, told = 0, time.monotonic()

        def tick(count: int) -> None:
            nonlocal waiting, told
            waiting += count
            if time.monotonic() - told >= _TELL_SECONDS:
                events.put(("tick", waiting))
                waiting, told = 0, time.monotonic()

        try:
            for item in work(tick):
                events.put(("item", item))
        except BaseException as error:
            events.put(("error", error))
        else:
            events.put(("tick", waiting))
            events.put(("end", None))

    threads = [Thread(target=drive, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    try:
        running = len(threads)
        while running:
            kind, value = events.get()
            if kind == "item":
                yield value
            elif kind == "tick":
                progress(value)
            elif kind == "error":
                raise value
            else:
                running -= 1
    finally:
        plan.stop()
        for thread in threads:
            thread.join()
