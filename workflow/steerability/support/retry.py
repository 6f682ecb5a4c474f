"""Patience with servers: what may pass is tried again, after growing waits or those asked for."""

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})

_Result = TypeVar("_Result")


class PassingError(OSError):
    """A failure that may pass: the network's, or a server's that says so.

    Args:
        what: what failed.
        wait: seconds the server asks to wait; None where it asks for nothing.
        quiet: not worth a line of its own before the next attempt.
    """

    def __init__(self, what: str, wait: float | None = None, *, quiet: bool = False) -> None:
        super().__init__(what)
        self.wait = wait
        self.quiet = quiet


def patiently(
    action: Callable[[], _Result],
    *,
    attempts: int,
    first: float,
    longest: float,
    tell: Callable[[PassingError, float], None] | None = None,
) -> _Result:
    """Return what an action returns, tried again while it fails in a way that may pass.

    Args:
        action: what to do.
        attempts: how often at most.
        first: seconds to wait after the first failure; each further wait is twice as long, and no
            wait is shorter than what the server asks for.
        longest: seconds that no wait exceeds.
        tell: gets the failure and the seconds to the next attempt.

    Raises:
        PassingError: the last failure.
    """

    def pause(state: RetryCallState) -> float:
        growing = first * 2.0 ** (state.attempt_number - 1)
        return min(max(growing, _failure(state).wait or 0.0), longest)

    def before_sleep(state: RetryCallState) -> None:
        if tell is not None and state.next_action is not None:
            tell(_failure(state), state.next_action.sleep)

    retrying = Retrying(
        retry=retry_if_exception_type(PassingError),
        stop=stop_after_attempt(attempts),
        wait=pause,
        before_sleep=before_sleep,
        sleep=time.sleep,
        reraise=True,
    )
    return retrying(action)


def retry_after(value: str) -> float | None:
    """Return the seconds that a server asks to wait, given as a number or as a date.

    Args:
        value: of the header ``Retry-After``; empty where there is none.
    """
    value = value.strip()
    if value.replace(".", "", 1).isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def _failure(state: RetryCallState) -> PassingError:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, PassingError)
    return error
