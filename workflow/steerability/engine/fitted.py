"""An adapter set made ready for a loaded model: the vectors' sum and one LoRA of all of them.

llama.cpp keeps the LoRA of a context in an unordered map, so with several the order of their
additions is not defined. Here they become one: ranks side by side in the declared order, strength
and ``alpha / rank`` multiplied into B in float64. It is written as a file in memory that holds
nothing but what was checked, and llama.cpp reads that one.
"""

import ctypes
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steerability.engine.adapterfiles import LoraFile, ModelShape, VectorFile
from steerability.engine.adapters import NONE, Adapter, Adapters
from steerability.engine.errors import AdapterError, EngineError
from steerability.engine.gguffile import write_gguf
from steerability.engine.library import lib, reasons
from steerability.engine.weights import Weights

Pair = tuple[NDArray[np.float32], NDArray[np.float32]]
Structure = tuple[Any, ...]
_EMBEDDING = "token_embd.weight"


class Fitted:
    """An adapter set as contexts put it on; close it when no context has it on any more.

    Args:
        adapters: which, how strong, where.
        rows: the vectors' sum, float32, a row for each block but the first; None for no vector.
        lora: llama.cpp's handle; None for no LoRA.
        ranks: the LoRA's ranks by tensor.

    Attributes:
        structure: what decides the graph; sets that differ in numbers only have it in common.
    """

    def __init__(
        self,
        adapters: Adapters,
        rows: NDArray[np.float32] | None = None,
        lora: Any = None,
        ranks: Mapping[str, int] | None = None,
    ) -> None:
        self.adapters = adapters
        self.rows = rows
        self.lora = lora
        self.structure: Structure = (rows is not None, tuple(sorted((ranks or {}).items())))

    def close(self) -> None:
        """Free the LoRA."""
        if self.lora:
            lib.llama_adapter_lora_free(self.lora)
            self.lora = None

    @property
    def empty(self) -> bool:
        """Whether nothing is left to put on."""
        return self.rows is None and self.lora is None

    @property
    def span(self) -> tuple[int, int]:
        """The first and the last block that gets a row; blocks outside are left as they are."""
        assert self.rows is not None
        acting = np.flatnonzero(self.rows.any(axis=1)) + 1
        return int(acting[0]), int(acting[-1])


NO_ADAPTER = Fitted(NONE)


def fit(
    adapters: Adapters,
    weights: Weights,
    model: ModelShape,
    vectors: Mapping[str, VectorFile],
    loras: Mapping[str, LoraFile],
) -> Fitted:
    """Make an adapter set ready for a loaded model.

    What is zero throughout is left out: it changes no bit.

    Args:
        adapters: the set.
        weights: the whole model.
        model: its shape.
        vectors: checked files by digest.
        loras: likewise.

    Raises:
        AdapterError: a digest belongs to no file, numbers overflow, or a range of layers holds
            nothing of an adapter.
        EngineError: llama.cpp cannot take the LoRA.
    """
    rows = summed(adapters.vectors, vectors)
    pairs = merged(adapters.loras, loras)
    if not pairs:
        return Fitted(adapters, rows)
    handle = _load(weights, model.architecture, pairs)
    return Fitted(adapters, rows, handle, {name: b.shape[-1] for name, (_, b) in pairs.items()})


def summed(
    adapters: tuple[Adapter, ...], files: Mapping[str, VectorFile]
) -> NDArray[np.float32] | None:
    """Return the sum of vectors times strengths, made in float64; None where it is zero."""
    total: NDArray[np.float64] | None = None
    for adapter in adapters:
        file = _file(adapter, files)
        chosen = np.array([adapter.acts_on(block) for block in range(1, len(file.rows) + 1)], bool)
        if not file.rows[chosen].any() and file.rows.any():
            raise _no_layer(adapter, file.path)
        part = adapter.strength * file.rows.astype(np.float64) * chosen[:, None]
        total = part if total is None else total + part
    if total is None:
        return None
    with np.errstate(over="ignore"):
        rows = total.astype(np.float32)
    if not np.isfinite(rows).all():
        raise AdapterError("the vector times its strength exceeds 32-bit numbers", "lower strength")
    return rows if rows.any() else None


def merged(adapters: tuple[Adapter, ...], files: Mapping[str, LoraFile]) -> dict[str, Pair]:
    """Return the factors of one LoRA that does what several do; empty where that is nothing."""
    parts: dict[str, list[Pair]] = {}
    for adapter in adapters:
        names = touched(adapter, files)
        file = files[adapter.sha256]
        pairs = file.pairs()
        for name in names:
            a, b = pairs[name]
            scale = adapter.strength * (file.alpha / b.shape[-1] if file.alpha else 1.0)
            with np.errstate(over="ignore"):
                scaled = (scale * b.astype(np.float64)).astype(np.float32)
            if not np.isfinite(scaled).all():
                raise AdapterError(
                    "the LoRA times its strength exceeds 32-bit numbers",
                    "lower strength",
                    file.path,
                )
            if a.any() and scaled.any():
                parts.setdefault(name, []).append((a, scaled))
    return {
        name: (
            np.concatenate([a for a, _ in factors], axis=-1 if name == _EMBEDDING else -2),
            np.concatenate([b for _, b in factors], axis=-1),
        )
        for name, factors in parts.items()
    }


def touched(adapter: Adapter, files: Mapping[str, LoraFile]) -> list[str]:
    """Return the tensors that a LoRA changes within its layers.

    Raises:
        AdapterError: the digest belongs to no file, or there are none.
    """
    file = _file(adapter, files)
    names = [name for name in file.names if _acts_on(adapter, name)]
    if not names:
        raise _no_layer(adapter, file.path)
    return names


def _acts_on(adapter: Adapter, tensor: str) -> bool:
    if adapter.layers is None:
        return True
    word, _, rest = tensor.partition(".")
    number = rest.partition(".")[0]
    return word == "blk" and number.isdigit() and adapter.acts_on(int(number))


def _no_layer(adapter: Adapter, path: Path) -> AdapterError:
    first, last = adapter.layers or (0, 0)
    return AdapterError(
        f"has nothing for the layers {first} to {last}", "name layers that it changes", path
    )


def _file(adapter: Adapter, files: Mapping[str, Any]) -> Any:
    if adapter.sha256 not in files:
        raise AdapterError(f"no {adapter.kind} with the digest {adapter.sha256} was added")
    return files[adapter.sha256]


@contextmanager
def _file_in_memory() -> Iterator[Path]:
    handle = os.memfd_create("adapter")
    try:
        yield Path(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)


def _load(weights: Weights, architecture: str, pairs: Mapping[str, Pair]) -> Any:
    fields: dict[str, str | int | float] = {
        "general.type": "adapter",
        "adapter.type": "lora",
        "adapter.lora.alpha": 0.0,
    }
    tensors = {
        f"{name}.lora_{side}": factor
        for name, pair in pairs.items()
        for side, factor in zip("ab", pair, strict=True)
    }
    with _file_in_memory() as path:
        write_gguf(path, architecture, fields, tensors)
        with reasons() as reason:
            handle = lib.llama_adapter_lora_init(weights.model, str(path).encode())
            if not handle:
                raise EngineError(f"llama.cpp cannot load a LoRA: {reason() or 'no reason given'}")
    return handle


def put_on(raw: Any, fitted: Fitted) -> None:
    """Give a llama.cpp context an adapter set in place of any before; keys and values stay.

    Raises:
        EngineError: llama.cpp refuses it.
    """
    if fitted.rows is None:
        status = lib.llama_set_adapter_cvec(raw, None, 0, 0, 0, 0)
    else:
        # all rows: those beyond a shorter buffer would keep what they held before
        data = fitted.rows.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        width = fitted.rows.shape[1]
        status = lib.llama_set_adapter_cvec(raw, data, fitted.rows.size, width, *fitted.span)
    if status:
        raise EngineError("llama.cpp cannot set a control vector")
    if fitted.lora is None:
        status = lib.llama_set_adapters_lora(raw, None, 0, None)
    else:
        handles = (lib.llama_adapter_lora_p_ctypes * 1)(fitted.lora)
        status = lib.llama_set_adapters_lora(raw, handles, 1, (ctypes.c_float * 1)(1.0))
    if status:
        raise EngineError("llama.cpp cannot set a LoRA")
