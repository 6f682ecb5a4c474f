"""Moving a large file over HTTP into a ``.part`` file that a later start goes on with.

The transport is huggingface_hub's ``http_get``: range requests, a bar on a terminal, five attempts
without progress. Around it: patience with servers that fail in passing, a look at the free disk
before the first byte, several files at once, and errors of one line without addresses (the one a
hub redirects to carries a signature) or tokens.
"""

import errno
import os
import queue
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from steerability.support.retry import PASSING, PassingError, patiently, retry_after

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_DISABLE_UPDATE_CHECK", "1")

Say = Callable[[str], None]

ATTEMPTS = 5
WAIT_SECONDS = 2.0
LONGEST_WAIT = 60.0
RESERVE_BYTES = 64 << 20
_SAY_EVERY = 30.0


def transfer(
    url: str,
    part: Path,
    *,
    size: int | None,
    label: str,
    say: Say,
    headers: dict[str, str] | None = None,
) -> None:
    """Fetch what is missing of a file.

    Args:
        url: where it is; redirects are followed, an authorization header stays with the first host.
        part: the file that is added to.
        size: its whole size in bytes, where that is known.
        label: what the lines and the bar call it.
        say: gets a line every half minute when there is no terminal.
        headers: sent with the request.

    Raises:
        OSError: the network or the server keeps failing, the disk is full, or the size is wrong.
    """
    from huggingface_hub.file_download import http_get

    def go_on() -> None:
        with part.open("ab") as stream:
            http_get(
                url,
                stream,
                resume_size=stream.tell(),
                headers=dict(headers or {}),
                expected_size=size,
                displayed_filename=label,
                tqdm_class=_bar(label, say),
            )

    persist(go_on)


def persist(action: Callable[[], Any]) -> Any:
    """Return what an action of the hub's client returns, patient with what fails in passing.

    Raises:
        Exception: the client's own, the last one where it kept failing.
    """

    def attempt() -> Any:
        try:
            return action()
        except Exception as error:
            failure = _passing(error)
            if failure is None:
                raise
            raise failure from error

    try:
        return patiently(attempt, attempts=ATTEMPTS, first=WAIT_SECONDS, longest=LONGEST_WAIT)
    except PassingError as failure:
        raise failure.__cause__ or failure from None


def check_room(needed: int, folder: Path, label: str) -> None:
    """See that a disk has room before the first byte is fetched.

    Args:
        needed: bytes still to come.
        folder: a folder on the disk.
        label: what the error calls the file.

    Raises:
        OSError: it has not.
    """
    free = shutil.disk_usage(folder).free
    if needed > 0 and free < needed + RESERVE_BYTES:
        raise OSError(
            f"{label}: {needed:,} bytes are still to come, but only {free:,} are free on the disk "
            f"of {folder} ({RESERVE_BYTES:,} are left free); make room or name another folder"
        )


def together(actions: Sequence[Callable[[], None]], at_once: int = 4) -> None:
    """Run actions side by side; the first error is raised at once, the rest end with the process.

    Args:
        actions: what to run.
        at_once: how many at a time.
    """
    if len(actions) == 1:
        actions[0]()
        return
    slots = threading.Semaphore(at_once)
    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def run(action: Callable[[], None]) -> None:
        with slots:
            try:
                action()
            except BaseException as error:
                ended.put(error)
            else:
                ended.put(None)

    for action in actions:
        # daemons: an interrupted fetch must not wait for gigabytes
        threading.Thread(target=run, args=(action,), daemon=True).start()
    for _ in actions:
        error = ended.get()
        if error is not None:
            raise error


@contextmanager
def explained(label: str, refusal: Callable[[int, str], Exception | None]) -> Iterator[None]:
    """Turn the client's errors into one line that says what to do.

    Args:
        label: what the line calls the file.
        refusal: gets a status and the server's error code, returns the error to raise, or None
            for the common words.

    Raises:
        OSError: the network, the server or the disk failed.
    """
    import httpx2
    from huggingface_hub import logging
    from huggingface_hub.errors import HfHubHTTPError

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    kept = "what was fetched is kept"
    try:
        yield
    except HfHubHTTPError as error:
        status = error.response.status_code
        known = refusal(status, error.response.headers.get("X-Error-Code", ""))
        if known is not None:
            raise known from None
        what = "asks to wait (too many requests)" if status == 429 else "is failing"
        raise OSError(
            f"{label}: the server {what}, status {status} after {ATTEMPTS} attempts; {kept}, "
            "start again later"
        ) from None
    except httpx2.TransportError as error:
        raise OSError(
            f"{label}: the server cannot be reached ({type(error).__name__}); {kept}, start again, "
            "set HF_ENDPOINT to a mirror, or name a folder that holds the file"
        ) from None
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise OSError(f"{label}: the disk is full; {kept}, make room and start again") from None


def _passing(error: Exception) -> PassingError | None:
    """Return an error of the client as one that may pass, with the wait that is asked for."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    if isinstance(error, HfHubHTTPError) and error.response.status_code in PASSING:
        asked = error.response.headers.get("Retry-After", "")
        return PassingError(type(error).__name__, retry_after(asked))
    passing = isinstance(error, httpx2.TransportError)
    passing = passing and not isinstance(error, httpx2.UnsupportedProtocol)
    return PassingError(type(error).__name__) if passing else None


def _bar(label: str, say: Say) -> type[Any]:
    """Return a progress bar that without a terminal says a plain line every half minute."""

    class Bar(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)
            self._lines = not sys.stderr.isatty()
            self._said = time.monotonic()
            self._bytes = kwargs.get("initial") or 0
            self._of = kwargs.get("total") or 0
            super().__init__(*args, **(kwargs | {"disable": self._lines}))

        def update(self, n: float | None = 1) -> bool | None:
            self._bytes += int(n or 0)
            now = time.monotonic()
            if self._lines and now - self._said >= _SAY_EVERY:
                self._said = now
                say(f"{label}: {self._bytes:,} of {self._of:,} bytes")
            return bool(super().update(n))

    return Bar
