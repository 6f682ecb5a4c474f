"""One llama.cpp context with a stream of KV cache per slot, and the only steps it may take.

The rules that keep a sequence's logits equal, bit for bit, whatever runs beside it:

* a prompt is evaluated alone, in chunks whose borders depend on its length only (``borders``);
* a decode step holds one token of each of the slots 0..n-1, and nothing else;
* every slot has its own stream (``kv_unified`` off), filled from its first cell on;
* no step consists of a single row: flash attention would split the keys of such a row among the
  threads. A junk row goes behind it, which causal attention hides, and is forgotten;
* keys and values belong to the adapters that they were made under: when others are put on, all
  slots are emptied, and what was saved before is not taken back.
"""

import ctypes
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steerability.engine.adapters import Adapters
from steerability.engine.errors import EngineError, WeightsError
from steerability.engine.fitted import NO_ADAPTER, Fitted, put_on
from steerability.engine.library import lib, reasons
from steerability.engine.taps import Tap
from steerability.engine.weights import Weights

CHUNK = 64
FLASH = True
_CELLS = 256
_JUNK = 0
_POOLING_NONE = 0

Logits = NDArray[np.float32]


@dataclass(frozen=True)
class State:
    """A copy of a sequence's keys and values, and the adapters that they were made under."""

    data: ctypes.Array[ctypes.c_uint8]
    adapters: Adapters


def borders(length: int) -> list[int]:
    """Return where the chunks of a prompt end: multiples of ``CHUNK``, then its length.

    The last chunk takes a single token left over, so that no chunk but that of a one-token
    prompt has one row.
    """
    ends = list(range(CHUNK, length, CHUNK))
    if ends and length - ends[-1] == 1:
        ends.pop()
    return [*ends, length]


def cells_for(tokens: int) -> int:
    """Return the KV cells a slot needs for so many tokens: a junk row more, in whole blocks."""
    return -(-(tokens + 1) // _CELLS) * _CELLS


@dataclass(frozen=True)
class Layout:
    """The shape of a context.

    Attributes:
        width: slots, that is sequences that can run at the same time.
        cells: KV cells of each slot.
        threads: CPU threads.
        padded: fill every decode step up to ``width`` rows with junk, so that its shape is
            constant (accelerators choose kernels by shape).
    """

    width: int
    cells: int
    threads: int
    padded: bool = False


class _Batch:
    """A llama_batch whose arrays numpy writes; the rows' slots are fixed pointers."""

    def __init__(self, rows: int, slots: Sequence[int]) -> None:
        self.raw = lib.llama_batch_init(rows, 0, 1)
        self.token = np.ctypeslib.as_array(self.raw.token, (rows,))
        self.pos = np.ctypeslib.as_array(self.raw.pos, (rows,))
        self.output = np.ctypeslib.as_array(self.raw.logits, (rows,))
        np.ctypeslib.as_array(self.raw.n_seq_id, (rows,))[:] = 1
        self._rows = rows
        self.put_slots(slots)

    def put_slots(self, slots: Sequence[int]) -> None:
        for row in range(self._rows):
            self.raw.seq_id[row][0] = slots[row] if len(slots) > 1 else slots[0]

    def free(self) -> None:
        lib.llama_batch_free(self.raw)


class Context:
    """A llama.cpp context that offers deterministic steps only.

    Args:
        weights: a whole model.
        layout: slots, cells and threads.
        flash: flash attention.
        tap: sees what the blocks put out; it must be on to copy anything.

    Attributes:
        seconds_inside: time spent in llama.cpp so far.
        causal: whether llama.cpp lets no token see those after it.
        pools: whether it makes one vector of a sequence in place of logits.

    Raises:
        WeightsError: the model has no cache of keys and values.
        EngineError: there is not enough memory.
    """

    def __init__(
        self, weights: Weights, layout: Layout, *, flash: bool = FLASH, tap: Tap | None = None
    ) -> None:
        self.layout = layout
        self.tap = tap
        self.vocabulary_size = int(
            lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(weights.model))
        )
        rows = max(CHUNK + 1, layout.width, 2)
        params = lib.llama_context_default_params()
        params.n_ctx = layout.cells * layout.width
        params.n_batch = params.n_ubatch = rows
        params.n_seq_max = layout.width
        params.n_outputs_max = rows
        params.n_threads = params.n_threads_batch = layout.threads
        params.flash_attn_type = int(flash)
        params.kv_unified = False
        params.no_perf = True
        params.offload_kqv = weights.gpu_layers != 0
        params.op_offload = weights.gpu_layers != 0
        if tap is not None:
            params.cb_eval = tap.callback
        with reasons() as reason:
            self._raw: Any = lib.llama_init_from_model(weights.model, params)
            if not self._raw:
                raise EngineError(f"llama.cpp cannot make a context: {reason() or 'no reason'}")
        self.seconds_inside = 0.0
        self.causal = bool(lib.llama_get_causal_attn(self._raw))
        self.pools = lib.llama_pooling_type(self._raw) != _POOLING_NONE
        self._memory = lib.llama_get_memory(self._raw)
        if not self._memory:
            lib.llama_free(self._raw)
            self._raw = None
            raise WeightsError(
                "the model keeps no keys and values; the engine runs decoder-only transformers",
                "name other weights",
            )
        self._decode = _Batch(max(layout.width, 2), [*range(max(layout.width, 2))])
        self._prompt = _Batch(rows, [0])
        self._prompt_slot = 0
        self._fitted = NO_ADAPTER

    def close(self) -> None:
        """Free the context's memory."""
        if self._raw:
            self._decode.free()
            self._prompt.free()
            lib.llama_free(self._raw)
            self._raw = None

    @property
    def adapters(self) -> Adapters:
        """The adapters that are on."""
        return self._fitted.adapters

    def wear(self, fitted: Fitted) -> None:
        """Empty all slots and put adapters on in place of those before.

        Args:
            fitted: made ready for this context's weights; to be kept open as long as it is on.

        Raises:
            EngineError: llama.cpp refuses it; the context is not to be used any more.
        """
        self.clear()
        if fitted is not self._fitted:
            put_on(self._raw, fitted)
            self._fitted = fitted

    def step(self, tokens: Sequence[int], positions: Sequence[int]) -> Logits:
        """Evaluate one token of each of the slots 0..n-1.

        Args:
            tokens: one per slot.
            positions: the place of each in its sequence.

        Returns:
            Logits, one row per slot; valid until the next call.
        """
        rows = len(tokens)
        shape = self.layout.width if self.layout.padded else rows
        if shape == 1:
            return self.rows(0, [tokens[0]], positions[0], [0])
        batch = self._decode
        # junk stands at the first position, so its slots must be empty
        junk = range(rows, shape)
        self._empty(junk)
        batch.token[:rows] = tokens
        batch.token[rows:shape] = _JUNK
        batch.pos[:rows] = positions
        batch.pos[rows:shape] = 0
        batch.output[:shape] = 1
        self._run(batch, shape)
        self._empty(junk)
        return self._logits(rows)

    def rows(
        self, slot: int, tokens: Sequence[int], start: int, outputs: Sequence[int] = ()
    ) -> Logits:
        """Evaluate one chunk of one sequence, alone.

        Args:
            slot: the sequence's slot.
            tokens: at most ``CHUNK + 1``.
            start: the first token's position.
            outputs: the rows whose logits are wanted, in rising order.

        Returns:
            Logits, one row per wanted output; valid until the next call.
        """
        batch = self._prompt
        count = len(tokens)
        if slot != self._prompt_slot:
            batch.put_slots([slot])
            self._prompt_slot = slot
        batch.token[:count] = tokens
        padded = max(count, 2)
        batch.token[count:padded] = _JUNK
        batch.pos[:padded] = np.arange(start, start + padded)
        batch.output[:padded] = 0
        batch.output[list(outputs)] = 1
        self._run(batch, padded)
        if padded > count:
            self.forget(slot, start + count)
        return self._logits(len(outputs))

    def prompt(self, slot: int, tokens: Sequence[int], start: int = 0) -> Logits:
        """Evaluate a prompt from a chunk border on and return the logits after its last token.

        Args:
            slot: an empty slot, or one that holds exactly the first ``start`` tokens.
            tokens: the whole prompt.
            start: 0, or one of the prompt's ``borders``.

        Returns:
            One row of logits; valid until the next call.
        """
        logits = self._logits(0)
        for end in borders(len(tokens)):
            if end > start:
                last = [end - start - 1] if end == len(tokens) else []
                logits = self.rows(slot, tokens[start:end], start, last)
                start = end
        return logits

    def clear(self) -> None:
        """Empty all slots."""
        self._empty(range(self.layout.width))

    def use_threads(self, threads: int) -> None:
        """Run the following steps on so many CPU threads."""
        lib.llama_set_n_threads(self._raw, threads, threads)

    def forget(self, slot: int, position: int = 0) -> None:
        """Drop a slot's tokens from a position on."""
        if not lib.llama_memory_seq_rm(self._memory, slot, position, -1):
            raise EngineError("llama.cpp cannot cut a sequence of this model short")

    def save(self, slot: int) -> State:
        """Return a copy of a slot's keys and values."""
        size = lib.llama_state_seq_get_size(self._raw, slot)
        data = (ctypes.c_uint8 * size)()
        begun = time.perf_counter()
        written = lib.llama_state_seq_get_data(self._raw, data, size, slot)
        self.seconds_inside += time.perf_counter() - begun
        if written != size:
            raise EngineError("llama.cpp cannot copy a sequence out of its cache")
        return State(data, self.adapters)

    def restore(self, slot: int, state: State, tokens: int | None = None) -> None:
        """Put a copy of keys and values into a slot, in place of what it holds.

        Args:
            slot: the slot.
            state: what ``save`` returned.
            tokens: how many of its first tokens to keep; None keeps all.

        Raises:
            EngineError: it was made under other adapters, or llama.cpp refuses it.
        """
        if state.adapters != self.adapters:
            raise EngineError("keys and values of other adapters cannot be put back")
        self.forget(slot)
        begun = time.perf_counter()
        read = lib.llama_state_seq_set_data(self._raw, state.data, len(state.data), slot)
        self.seconds_inside += time.perf_counter() - begun
        if not read:
            raise EngineError("llama.cpp cannot copy a sequence into its cache")
        if tokens is not None:
            self.forget(slot, tokens)

    def _empty(self, slots: Iterable[int]) -> None:
        for slot in slots:
            self.forget(slot)

    def _run(self, batch: _Batch, rows: int) -> None:
        batch.raw.n_tokens = rows
        with reasons() as reason:
            begun = time.perf_counter()
            status = lib.llama_decode(self._raw, batch.raw)
            lib.llama_synchronize(self._raw)
            self.seconds_inside += time.perf_counter() - begun
            if status:
                raise EngineError(f"llama.cpp cannot evaluate a batch: {reason() or status}")

    def _logits(self, rows: int) -> Logits:
        if not rows:
            return np.empty((0, self.vocabulary_size), np.float32)
        pointer = lib.llama_get_logits(self._raw)
        return np.ctypeslib.as_array(pointer, (rows, self.vocabulary_size))
