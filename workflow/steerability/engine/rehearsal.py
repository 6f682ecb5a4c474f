"""Weights are first loaded in a process of their own, since llama.cpp may end the one it is in.

It asserts what a header says, divides by it, and throws through its C interface; then the process
is gone, without a word that names the file. So whatever is about to be done with a file of unknown
make is rehearsed once: the header with the tokeniser, or the whole model with a first step. The
process is a fork of this one, which costs milliseconds; where this build has an accelerator, whose
driver survives no fork, it is a new one that sees no accelerator.

What went well is remembered by the file's place, size and time, for as long as this process runs.
"""

import faulthandler
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from steerability.engine import library
from steerability.engine.errors import EngineError, InputError, WeightsError

_PATIENCE = 3600.0
_CPU_SECONDS = {True: 60, False: 1800}
_HIDDEN = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "GGML_VK_VISIBLE_DEVICES")
# every letter of one byte, and every first and further byte of the longer ones
_LETTERS = [*range(1, 0x180), *range(0x180, 0xD800, 0x40), *range(0xE000, 0xFFFE, 0x40)]
_LETTERS += [*range(0x10000, 0x110000, 0x1000)]
SAMPLE = "".join(map(chr, _LETTERS)) + " \n\t the  two"
_gone_well: set[tuple[Any, ...]] = set()


def rehearse(path: Path, *, vocabulary_only: bool) -> None:
    """Load a file in another process, unless that went well before.

    Args:
        path: the GGUF file.
        vocabulary_only: the header and the tokeniser; else the whole model and a first step.

    Raises:
        WeightsError: llama.cpp does not survive it, or the weights are no model for the engine.
    """
    state = path.stat()
    name = (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, vocabulary_only)
    if name in _gone_well:
        return
    if library.offloads():
        status, report = _spawned(path, vocabulary_only)
    else:
        status, report = _forked(lambda: perform(path, vocabulary_only), vocabulary_only)
    _judge(status, report)
    _gone_well.add(name)


def perform(path: Path, vocabulary_only: bool) -> None:
    """Do what is rehearsed, in this process.

    Raises:
        InputError: the weights are no model for the engine.
        EngineError: llama.cpp failed.
    """
    from steerability.engine.context import Context, Layout
    from steerability.engine.selfcheck import check_sound
    from steerability.engine.vocabulary import Vocabulary
    from steerability.engine.weights import Weights

    with Weights(path, vocabulary_only=vocabulary_only, rehearsed=True) as weights:
        if vocabulary_only:
            vocabulary = Vocabulary(weights)
            for special in (False, True):
                vocabulary.detokenize(vocabulary.tokenize(SAMPLE, special=special))
            return
        context = Context(weights, Layout(1, 256, 1))
        check_sound(context)
        context.close()


def _judge(status: int, report: dict[str, Any]) -> None:
    if "what" in report:
        raise WeightsError(report["what"], report["mend"])
    if "failed" in report:
        raise EngineError(report["failed"])
    if report.get("done") and status == 0:
        return
    if status == -signal.SIGXCPU:
        words = "llama.cpp comes to no end with the weights"
    elif "aborted" in report:
        words = f"llama.cpp gives up on the weights: {report['aborted']}"
    else:
        words = f"llama.cpp breaks on the weights (status {status})"
    raise WeightsError(words, "name other weights")


def _attempt(work: Callable[[], None], tell: Callable[[dict[str, Any]], None], cpu: int) -> None:
    """Do the work and tell how it went, also where llama.cpp is about to abort."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    used = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    most = used + cpu if hard == resource.RLIM_INFINITY else min(used + cpu, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (most, hard))
    library.on_abort(lambda words: tell({"aborted": words}))
    try:
        work()
        tell({"done": True})
    except InputError as error:
        tell({"what": error.what, "mend": error.mend})
    except EngineError as error:
        tell({"failed": str(error)})
    except (MemoryError, ValueError, OverflowError) as error:
        tell({"what": f"the header is out of bounds: {error}", "mend": "name other weights"})


def _forked(work: Callable[[], None], vocabulary_only: bool) -> tuple[int, dict[str, Any]]:
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            faulthandler.disable()
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            _attempt(work, lambda report: _tell(writing, report), _CPU_SECONDS[vocabulary_only])
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    try:
        said = _heard(reading)
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        os.close(reading)
        if not _ended(child):
            os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status, _parsed(said)


def _ended(child: int) -> bool:
    """Wait a little for a child that has closed its pipe to end."""
    for _ in range(1000):
        found = os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if found is not None:
            return True
        time.sleep(0.01)
    return False


def _tell(pipe: int, report: dict[str, Any]) -> None:
    os.write(pipe, json.dumps(report).encode("ascii") + b"\n")


def _heard(pipe: int) -> bytes:
    said = b""
    until = time.monotonic() + _PATIENCE
    while select.select([pipe], [], [], max(0.0, until - time.monotonic()))[0]:
        part = os.read(pipe, 1 << 16)
        if not part:
            break
        said += part
    return said


def _spawned(path: Path, vocabulary_only: bool) -> tuple[int, dict[str, Any]]:
    package = str(Path(__file__).resolve().parents[2])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    hidden = dict.fromkeys(_HIDDEN, "")
    done = subprocess.run(
        [sys.executable, "-P", "-m", __name__, "yes" if vocabulary_only else "no", str(path)],
        env={**os.environ, **hidden, "PYTHONPATH": os.pathsep.join(paths)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return done.returncode, _parsed(done.stdout)


def _parsed(said: bytes) -> dict[str, Any]:
    """Return the last report; a process may abort after it has said that it was done."""
    report: dict[str, Any] = {}
    for line in said.splitlines():
        try:
            report = json.loads(line)
        except ValueError:
            continue
    return report


def main() -> None:
    """Rehearse the file named on the command line and print how it went."""
    vocabulary_only, path = sys.argv[1] == "yes", Path(sys.argv[2])
    _attempt(
        lambda: perform(path, vocabulary_only),
        lambda report: _tell(1, report),
        _CPU_SECONDS[vocabulary_only],
    )


if __name__ == "__main__":
    main()
