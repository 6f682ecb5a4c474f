"""The residual stream as llama.cpp computes it: the output of every block, read while it runs.

llama.cpp names the output of block N ``l_out-N`` on every architecture, control vectors included,
and hands nodes to a callback when they are computed. Reading changes no bit of any logit. Of the
last block only the rows whose logits were asked for exist.
"""

import ctypes
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steerability.engine.errors import EngineError, WeightsError
from steerability.engine.library import lib

_NAME = b"l_out-"


@cache
def _ggml() -> Any:
    """Return the library that llama.cpp itself uses; a second copy would be another library."""
    library = lib._lib
    for name, result, arguments in (
        ("ggml_get_name", ctypes.c_char_p, [ctypes.c_void_p]),
        ("ggml_nbytes", ctypes.c_size_t, [ctypes.c_void_p]),
        (
            "ggml_backend_tensor_get",
            None,
            [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t],
        ),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class Tap:
    """Copies of what the blocks of one context put out at its last step.

    Attributes:
        on: whether to copy; off it costs next to nothing.
        callback: what llama.cpp calls.
    """

    def __init__(self) -> None:
        self.on = False
        self._blocks: dict[int, NDArray[np.float32]] = {}
        self.callback: Any = lib.ggml_backend_sched_eval_callback(self._see)

    def _see(self, tensor: int, ask: bool, _: Any) -> bool:
        """Say whether a node is wanted, or take it; True lets the computation go on."""
        if not self.on:
            return not ask
        name = _ggml().ggml_get_name(tensor)
        if not name.startswith(_NAME):
            return not ask
        if not ask:
            size = _ggml().ggml_nbytes(tensor)
            copy = np.empty(size // 4, np.float32)
            _ggml().ggml_backend_tensor_get(tensor, copy.ctypes.data, 0, size)
            self._blocks[int(name[len(_NAME) :])] = copy
        return True

    def forget(self) -> None:
        """Drop the copies."""
        self._blocks.clear()

    def rows(self, blocks: int, batch: int, outputs: Sequence[int]) -> NDArray[np.float32]:
        """Return what the blocks put out at the last step.

        Args:
            blocks: how many the model has.
            batch: rows of the step, junk included.
            outputs: those among them whose logits were asked for.

        Returns:
            float32, blocks × outputs × width.

        Raises:
            WeightsError: the architecture does not name the outputs of its blocks.
            EngineError: some rows are missing.
        """
        if sorted(self._blocks) != list(range(blocks)):
            raise WeightsError(
                "llama.cpp does not show the blocks' outputs of this architecture",
                "name other weights",
            )
        width = self._blocks[0].size // batch
        found = []
        for block in range(blocks):
            rows = self._blocks[block].reshape(-1, width)
            found.append(rows[list(outputs)] if len(rows) == batch else rows)
        if any(len(rows) != len(outputs) for rows in found):
            raise EngineError("llama.cpp does not show all rows of the blocks' outputs")
        return np.stack(found)
