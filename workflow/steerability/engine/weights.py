"""A GGUF file loaded by llama.cpp: the vocabulary alone, or the whole model."""

import ctypes
from pathlib import Path
from typing import Any

from steerability.engine.errors import PromptError, WeightsError
from steerability.engine.library import lib, reasons
from steerability.engine.rehearsal import rehearse

_MAGIC = b"GGUF"
_NO_VOCABULARY = 0
_CUT = ("not within the file bounds", "failed to read", "remaining file size")


class Weights:
    """A loaded GGUF file; use as a context manager or call ``close``.

    Args:
        path: the file.
        vocabulary_only: read the header and the vocabulary, not the tensors (a tenth of a
            second); enough to tokenise and to name keys.
        rehearsed: this is the rehearsal, or one went well (see ``rehearsal``).
        gpu_layers: layers to put on an accelerator; 0 for the CPU alone.

    Raises:
        WeightsError: the file is missing, no GGUF, cut short, or not supported.
    """

    def __init__(
        self,
        path: Path,
        *,
        vocabulary_only: bool = False,
        gpu_layers: int = 0,
        rehearsed: bool = False,
    ) -> None:
        self.path = path
        self.gpu_layers = gpu_layers
        _check_magic(path)
        if not rehearsed:
            rehearse(path, vocabulary_only=vocabulary_only)
        params = lib.llama_model_default_params()
        params.vocab_only = vocabulary_only
        params.n_gpu_layers = gpu_layers
        # repacked weights take another kernel from four rows on
        params.use_extra_bufts = False
        with reasons() as reason:
            self.model: Any = lib.llama_model_load_from_file(str(path).encode(), params)
            if not self.model:
                raise _in_words(reason())
        self.architecture = self.metadata("general.architecture") or ""
        self._check_kind()

    def _check_kind(self) -> None:
        """Take only causal decoders with a KV cache that can be cut and copied token by token."""
        vocabulary = lib.llama_model_get_vocab(self.model)
        causal = self.metadata(f"{self.architecture}.attention.causal")
        pooling = self.metadata(f"{self.architecture}.pooling_type")
        for right, kind in (
            (not lib.llama_model_is_recurrent(self.model), "a recurrent model"),
            (
                not lib.llama_model_is_hybrid(self.model),
                "a hybrid of attention and recurrence",
            ),
            (not lib.llama_model_has_encoder(self.model), "a model with an encoder"),
            (lib.llama_model_has_decoder(self.model), "a model without a decoder"),
            (not lib.llama_model_is_diffusion(self.model), "a diffusion model"),
            (causal in (None, "true"), "a model whose attention is not causal"),
            (pooling in (None, "0"), "a model that pools its tokens to one vector"),
            (self.context_length > 0, "a model that names no context length"),
            (lib.llama_vocab_type(vocabulary) != _NO_VOCABULARY, "a model without a vocabulary"),
        ):
            if not right:
                self.close()
                raise WeightsError(
                    f"{self.architecture} is {kind}; the engine runs decoder-only transformers",
                    "name other weights",
                )

    def __enter__(self) -> "Weights":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the model's memory; the object cannot be used afterwards."""
        if self.model:
            lib.llama_model_free(self.model)
            self.model = None

    def metadata(self, name: str) -> str | None:
        """Return a scalar of the GGUF header as text, or None where it is absent."""
        size = lib.llama_model_meta_val_str(self.model, name.encode(), None, 0)
        if size < 0:
            return None
        buffer = ctypes.create_string_buffer(size + 1)
        lib.llama_model_meta_val_str(self.model, name.encode(), buffer, size + 1)
        return buffer.value.decode("utf-8", "replace")

    def number(self, name: str, default: int = 0) -> int:
        """Return a whole number of the header's architecture section."""
        text = self.metadata(f"{self.architecture}.{name}")
        return int(text) if text is not None and text.isdigit() else default

    @property
    def context_length(self) -> int:
        """The context window the model was trained with, in tokens."""
        return self.number("context_length")

    @property
    def size(self) -> int:
        """Bytes of all tensors."""
        return int(lib.llama_model_size(self.model))

    @property
    def cell_bytes(self) -> int:
        """Bytes of KV cache per token of context, keys and values in 16 bits."""
        layers = self.number("block_count")
        heads = self.number("attention.head_count", 1)
        kv_heads = self.number("attention.head_count_kv", heads)
        head = self.number("embedding_length") // max(heads, 1)
        key = self.number("attention.key_length", head)
        value = self.number("attention.value_length", head)
        return 2 * layers * kv_heads * (key + value)

    @property
    def chat_template(self) -> str | None:
        """The Jinja chat template inside the file, or None."""
        text = lib.llama_model_chat_template(self.model, None)
        try:
            return text.decode("utf-8") if text else None
        except UnicodeDecodeError as error:
            raise PromptError(
                "the chat template in the weights is not UTF-8", "name a template of your own"
            ) from error


def _check_magic(path: Path) -> None:
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise WeightsError(
            f"the weights cannot be read: {error.strerror}", "fetch them or name another file"
        ) from error
    if magic != _MAGIC:
        raise WeightsError("not a GGUF file", "name a GGUF model file")


def _in_words(reason: str) -> WeightsError:
    if any(clue in reason for clue in _CUT):
        return WeightsError(
            "the weights are cut short: the header promises more than the file holds",
            "fetch the file again",
        )
    return WeightsError(
        f"llama.cpp cannot load the weights: {reason or 'no reason given'}", "name other weights"
    )
