"""Many things under way at once, of which nothing that arrives is lost.

Workers are daemon threads: one that waits for a silent server keeps neither an interrupt nor the
end of the process waiting.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

DRAIN_SECONDS = 20.0
"""How long what is under way may still arrive once something has failed."""
INTERRUPT_DRAIN_SECONDS = 1.0
"""Likewise once somebody has interrupted the process; a second interrupt ends it at once."""
MOST_AT_ONCE = 256

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class StoppedError(Exception):
    """Work that was given up because other work failed."""


@dataclass(frozen=True)
class _Done(Generic[_Item, _Result]):
    item: _Item
    results: tuple[_Result, ...] = ()
    error: BaseException | None = None


@dataclass(frozen=True)
class _Interrupt:
    pass


class _Work(Generic[_Item, _Result]):
    """Items that threads take one by one, and the inbox of what they made of them."""

    def __init__(
        self, items: Sequence[_Item], work: Callable[[_Item], _Result], stop: threading.Event
    ) -> None:
        self.inbox: SimpleQueue[_Done[_Item, _Result] | _Interrupt] = SimpleQueue()
        self.stop = stop
        self._left = iter(items)
        self._work = work
        self._lock = threading.Lock()
        self._begun = 0
        self.finished = 0

    def under_way(self) -> int:
        """How many items were taken and are not back."""
        with self._lock:
            return self._begun - self.finished

    def halt(self) -> None:
        """Let no further item begin."""
        with self._lock:
            self.stop.set()

    def serve(self) -> None:
        """Work until nothing is left, or the work is halted."""
        for item in iter(self._take, None):
            try:
                done = _Done[_Item, _Result](item[0], (self._work(item[0]),))
            except BaseException as error:
                self.halt()
                done = _Done[_Item, _Result](item[0], error=error)
            self.inbox.put(done)

    def _take(self) -> tuple[_Item] | None:
        with self._lock:
            if self.stop.is_set():
                return None
            for item in self._left:
                self._begun += 1
                return (item,)
            return None


def run_each(
    items: Sequence[_Item],
    work: Callable[[_Item], _Result],
    *,
    at_once: int,
    stop: threading.Event,
) -> Iterator[tuple[_Item, _Result]]:
    """Yield each item with what comes of it, in the order of arrival.

    The first failure, or an interrupt (SIGINT, SIGTERM), ends what has not begun. What is under
    way may still arrive for a while and is yielded; then the failure is raised.

    Args:
        items: what to work on.
        work: done in threads; what it raises is a failure.
        at_once: threads, at most ``MOST_AT_ONCE``.
        stop: is set as soon as nothing more is wanted, for work to give up waiting.

    Raises:
        KeyboardInterrupt: somebody interrupts; a second time at once.
        Exception: the first failure.
    """
    pool = _Work(items, work, stop)
    with _heeding(pool.inbox):
        for _ in range(min(at_once, len(items), MOST_AT_ONCE)):
            threading.Thread(target=pool.serve, daemon=True).start()
        try:
            yield from _arrivals(pool, len(items))
        finally:
            pool.halt()


def _arrivals(pool: _Work[_Item, _Result], total: int) -> Iterator[tuple[_Item, _Result]]:
    failure: BaseException | None = None
    until = float("inf")
    while pool.finished < total and not (failure and not pool.under_way()):
        try:
            wait = until - time.monotonic()
            news = pool.inbox.get(timeout=max(wait, 0.0)) if failure else pool.inbox.get()
        except Empty:
            break
        if isinstance(news, _Interrupt):
            pool.halt()
            failure, until = KeyboardInterrupt(), time.monotonic() + INTERRUPT_DRAIN_SECONDS
            continue
        pool.finished += 1
        if news.error is None:
            yield news.item, news.results[0]
        elif failure is None:
            failure, until = news.error, time.monotonic() + DRAIN_SECONDS
    if failure is not None:
        raise failure


@contextmanager
def _heeding(inbox: "SimpleQueue[Any]") -> Iterator[None]:
    """Let the first interrupt be news like any other, so that it cuts no writing short."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heeded = 0

    def heed(number: int, frame: object) -> None:
        nonlocal heeded
        heeded += 1
        if heeded > 1:
            raise KeyboardInterrupt
        inbox.put(_Interrupt())

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    mine = {number: old for number, old in before.items() if old not in (signal.SIG_IGN, None)}
    try:
        for number in mine:
            signal.signal(number, heed)
        yield
    finally:
        for number, old in mine.items():
            signal.signal(number, old)
