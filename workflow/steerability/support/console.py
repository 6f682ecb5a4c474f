"""What a person sees of a running job: a bar on a terminal, plain lines in a log, a last line."""

import errno
import io
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from steerability.support.errors import UserError
from steerability.support.text import for_terminal

_EVERY = 10.0
_PASSING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})
_log_file: Path | None = None
_given_up: set[Path] = set()


class _Shown(io.TextIOWrapper):
    """A stream for people: what a terminal would obey is written out; whole lines are logged."""

    _begun = ""

    def write(self, text: str) -> int:
        super().write(for_terminal(text))
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            append_log(line)
        return len(text)


def forgiving_streams() -> None:
    r"""Let printing fail no stage, whatever the locale can show.

    Characters that the locale's encoding lacks are written out (``\u0394``).
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def guarded_output() -> None:
    """Do the same, and let nothing that is printed to stdout steer a terminal."""
    forgiving_streams()
    out = sys.stdout
    if type(out) is io.TextIOWrapper:
        encoding, buffered = out.encoding, out.line_buffering
        sys.stdout = _Shown(
            out.detach(), encoding=encoding, errors="backslashreplace", line_buffering=buffered
        )


def use_log(path: Path | None) -> None:
    """Let every line of this process go to a log file too (``steerability --log FILE``).

    Raises:
        UserError: there can be no such file. A full disk is said, and the work goes on.
    """
    global _log_file
    _log_file = path
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("", encoding="utf-8")
    except OSError as error:
        _log_file = None
        if error.errno not in _PASSING:
            raise UserError(
                f"the log cannot be written: {error.strerror}", where=path, mend="name another"
            ) from error
        _give_up(path, error)


def note(line: str, *, stream: TextIO | None = None) -> None:
    """Print one line to stderr (or ``stream``) and to the log file."""
    _print(line, stream)
    append_log(line)


def append_log(text: str) -> None:
    """Write a line to the log file alone, where there is one."""
    if _log_file is not None:
        _append(_log_file, text)


def _print(line: str, stream: TextIO | None) -> None:
    try:
        print(for_terminal(line), file=stream if stream is not None else sys.stderr, flush=True)
    except OSError:
        # nobody is left to be told; the work goes on
        return


def _append(path: Path, text: str) -> None:
    """Add a line to a log; one that cannot be written any more is said once."""
    if path in _given_up:
        return
    try:
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(for_terminal(text).rstrip("\n") + "\n")
    except OSError as error:
        _give_up(path, error)


def _give_up(path: Path, error: OSError) -> None:
    _given_up.add(path)
    _print(f"the log {path} cannot be written ({error.strerror}); going on without it", None)


class Progress:
    """Progress over cells, with tokens per second where tokens are counted.

    On a terminal a bar; otherwise, and always in ``log``, a plain line every ten seconds. Use as
    a context manager; ``close_with`` prints the closing line.

    Args:
        verb: the verb's name, which starts every line.
        total: cells to make.
        log: a file that gets the plain lines too; by default that of ``use_log``.
        unit: what ``advance`` counts besides cells, for the rate; empty for none.
    """

    def __init__(
        self,
        verb: str,
        total: int,
        *,
        log: Path | None = None,
        unit: str = "tokens",
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.verb = verb
        self.total = total
        self.unit = unit
        self._stream = stream if stream is not None else sys.stderr
        self._clock = clock
        self._started = clock()
        self._said = self._started
        self._cells = 0
        self._units = 0
        self._log = log if log is not None else _log_file
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
        self._bar: RichProgress | None = None
        self._task = TaskID(0)
        if self._stream.isatty() and total:
            columns = [TextColumn(verb), BarColumn(), MofNCompleteColumn(), TextColumn("cells")]
            columns += [TextColumn("{task.fields[rate]}"), TimeRemainingColumn()]
            self._bar = RichProgress(*columns, console=Console(file=self._stream))

    def __enter__(self) -> "Progress":
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task(self.verb, total=self.total, rate="")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def tick(self, units: int) -> None:
        """Count units (tokens) without a finished cell; cheap enough for every decode step."""
        self._units += units

    def advance(self, cells: int = 1) -> None:
        """Count finished cells and show where the work stands."""
        self._cells += cells
        if self._bar is not None:
            self._bar.update(self._task, completed=self._cells, rate=self._rate())
        now = self._clock()
        if now - self._said >= _EVERY and self._cells < self.total:
            self._said = now
            line = f"{self.verb}: {self._cells}/{self.total} cells"
            rate = self._rate()
            left = (now - self._started) / self._cells * (self.total - self._cells)
            line += f", {rate}" if rate else ""
            self._plain(f"{line}, {left:.0f} s left", to_stream=self._bar is None)

    def say(self, text: str) -> None:
        """Print one line to the terminal and the log."""
        self._plain(f"{self.verb}: {text}")

    def close_with(self, wanted: int, found: int, made: int, note: str = "") -> None:
        """Print the closing line: cells wanted, found in the store, made."""
        line = f"{self.verb}: {wanted:,} cells wanted, {found:,} found in the store, {made:,} made"
        rate = self._rate() if made else ""
        line += f", {rate}" if rate else ""
        self._plain(f"{line}{f', {note}' if note else ''}")

    def _rate(self) -> str:
        seconds = self._clock() - self._started
        if not self.unit or not self._units or seconds <= 0:
            return ""
        return f"{self._units / seconds:.0f} {self.unit}/s"

    def _plain(self, line: str, *, to_stream: bool = True) -> None:
        if self._log is not None:
            _append(self._log, line)
        if not to_stream:
            return
        if self._bar is not None:
            self._bar.console.print(for_terminal(line), highlight=False, markup=False)
        else:
            _print(line, self._stream)
