"""llama.cpp as a library: loaded once, with the environment its kernels read, its log caught.

llama.cpp reads some settings from the environment at the first use of a kernel and never again,
so they are set here, before the library is loaded, and named in ``ENVIRONMENT``, which goes into
every key.
"""

import ctypes
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

# The tiled K-quant kernel for every number of rows (llama.cpp takes it from 8 rows on, and its
# sums differ from those of the kernel it takes below).
ENVIRONMENT = {"GGML_CPU_TILED_MM": "1", "GGML_CPU_TILED_MM_FORCE": "1"}
os.environ.update(ENVIRONMENT)
# Threads that wait for each other spin for some microseconds and then sleep: sleeping at once is
# slow on an idle machine, libgomp's own long spinning on a busy one (docs/engine.md).
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import llama_cpp  # noqa: E402
from llama_cpp import _ggml  # noqa: E402

from steerability.engine.errors import EngineError  # noqa: E402

lib: Any = llama_cpp.llama_cpp

_WARN, _ERROR = 3, 4
_GPU = 1


class _Log(threading.local):
    """What llama.cpp logged in this thread."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, str]] = []


_log = _Log()
_ABORT: Any = ctypes.CFUNCTYPE(None, ctypes.c_char_p)
_abort: list[Any] = []


@lib.llama_log_callback  # type: ignore[untyped-decorator]
def _keep_log(level: int, text: bytes, _: Any) -> None:
    if level in (_WARN, _ERROR):
        _log.lines.append((level, text.decode("utf-8", "replace").strip()))
        del _log.lines[:-50]


@cache
def start() -> None:
    """Initialise llama.cpp's backends once per process and silence its log."""
    lib.llama_log_set(_keep_log, ctypes.c_void_p(0))
    lib.llama_backend_init()


def on_abort(tell: Callable[[str], None]) -> None:
    """Let a function hear what llama.cpp says when it is about to end the process.

    Args:
        tell: gets the failed assertion, without the path of the source file.
    """

    @_ABORT  # type: ignore[untyped-decorator]
    def heard(message: bytes) -> None:
        words = " ".join(message.decode("utf-8", "replace").split())
        tell(re.sub(r"^\S*/(?=[\w.-]+:\d+: )", "", words))

    _abort.append(heard)
    lib._lib.ggml_set_abort_callback.restype = ctypes.c_void_p
    lib._lib.ggml_set_abort_callback(heard)


@contextmanager
def reasons() -> Iterator[Callable[[], str]]:
    """Collect what llama.cpp logs as errors within the block, in this thread.

    Yields:
        a function that returns the first such line (the cause; later ones repeat it) without
        the name of the C function in front; without errors the first warning, or an empty text.
    """
    start()
    _log.lines.clear()

    def reason() -> str:
        for _, line in sorted(_log.lines, key=lambda said: -said[0]):
            if line:
                line = re.sub(r"^[A-Za-z_:]+: (error [a-z ]+: )?", "", line)
                line = " ".join(line.split())
                return "".join(sign if sign.isprintable() else "?" for sign in line)
        return ""

    yield reason


def version() -> str:
    """Return the version of llama-cpp-python, which pins llama.cpp's own."""
    return str(llama_cpp.__version__)


@cache
def build_flags() -> tuple[str, ...]:
    """Return the features llama.cpp was compiled with, as its system information names them."""
    start()
    text = lib.llama_print_system_info().decode()
    return tuple(sorted(part.strip() for part in text.split("|") if part.strip()))


def offloads() -> bool:
    """Return whether this build and machine can run layers on an accelerator."""
    start()
    return bool(lib.llama_supports_gpu_offload())


def device() -> str:
    """Return the name of the first accelerator.

    Raises:
        EngineError: this build or machine has none.
    """
    return str(_ggml.libggml.ggml_backend_dev_description(_device()).decode())


def device_memory() -> tuple[int, int]:
    """Return the free and the whole memory of the first accelerator, in bytes.

    Raises:
        EngineError: this build or machine has none.
    """
    free, total = ctypes.c_size_t(0), ctypes.c_size_t(0)
    _ggml.libggml.ggml_backend_dev_memory(_device(), ctypes.byref(free), ctypes.byref(total))
    return free.value, total.value


def _device() -> int:
    if not offloads():
        raise EngineError("no accelerator: this build of llama.cpp or this machine has none")
    ggml = _ggml.libggml
    ggml.ggml_backend_dev_count.restype = ctypes.c_size_t
    ggml.ggml_backend_dev_get.restype = ctypes.c_void_p
    ggml.ggml_backend_dev_get.argtypes = [ctypes.c_size_t]
    ggml.ggml_backend_dev_type.argtypes = [ctypes.c_void_p]
    ggml.ggml_backend_dev_description.argtypes = [ctypes.c_void_p]
    ggml.ggml_backend_dev_description.restype = ctypes.c_char_p
    ggml.ggml_backend_dev_memory.argtypes = [
        ctypes.c_void_p,
        ctypes.POINTER(ctypes.c_size_t),
        ctypes.POINTER(ctypes.c_size_t),
    ]
    ggml.ggml_backend_dev_memory.restype = None
    for index in range(ggml.ggml_backend_dev_count()):
        raw: int = ggml.ggml_backend_dev_get(index)
        if ggml.ggml_backend_dev_type(raw) == _GPU:
            return raw
    raise EngineError("no accelerator: llama.cpp names no graphics device")
