"""The vocabulary of a loaded GGUF file: text to token ids and back."""

import ctypes
from functools import cached_property, lru_cache

from steerability.engine.library import lib
from steerability.engine.weights import Weights

_UNKNOWN, _CONTROL, _USER_DEFINED = 1 << 0, 1 << 3, 1 << 4
_LSTRIP, _RSTRIP = 1 << 7, 1 << 8


class Vocabulary:
    """Tokenises and detokenises with llama.cpp's own tokeniser."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._vocab = lib.llama_model_get_vocab(weights.model)
        self.size = int(lib.llama_vocab_n_tokens(self._vocab))
        self.eos = int(lib.llama_vocab_eos(self._vocab))
        self.bos = int(lib.llama_vocab_bos(self._vocab))
        self.adds_bos = bool(lib.llama_vocab_get_add_bos(self._vocab)) and self.bos >= 0
        self.piece = lru_cache(maxsize=None)(self._piece)

    @cached_property
    def control(self) -> dict[str, int]:
        """Texts of the control tokens (``<|im_end|>`` and its like), with their ids."""
        return self._marked(_CONTROL | _UNKNOWN)

    @cached_property
    def user_defined(self) -> dict[str, int]:
        """Texts of added tokens that are no control tokens, with their ids.

        llama.cpp, and transformers too, find these in any text.
        """
        return self._marked(_USER_DEFINED)

    def _marked(self, flags: int) -> dict[str, int]:
        found = {}
        for token in range(self.size):
            if lib.llama_vocab_get_attr(self._vocab, token) & flags:
                found[self.text(token)] = token
        return found

    def strips(self, token: int) -> tuple[bool, bool]:
        """Return whether a token swallows the white space to its left and to its right."""
        attributes = lib.llama_vocab_get_attr(self._vocab, token)
        return bool(attributes & _LSTRIP), bool(attributes & _RSTRIP)

    def text(self, token: int) -> str:
        """Return a token's text as the vocabulary writes it; empty where there is none."""
        if not 0 <= token < self.size:
            return ""
        return (lib.llama_vocab_get_text(self._vocab, token) or b"").decode("utf-8", "replace")

    def token(self, text: str) -> int | None:
        """Return the id of a control or added token by its text."""
        return self.control.get(text, self.user_defined.get(text))

    def tokenize(self, text: str, *, special: bool = False, bos: bool = False) -> list[int]:
        """Return a text's token ids.

        Args:
            text: any text.
            special: read the texts of control tokens as those tokens; never for outside text.
            bos: put the vocabulary's first token in front where the vocabulary asks for one.
        """
        raw = text.encode("utf-8", "surrogatepass")
        room = len(raw) + 8
        buffer = (lib.llama_token * room)()
        count = lib.llama_tokenize(self._vocab, raw, len(raw), buffer, room, bos, special)
        if count < 0:
            buffer = (lib.llama_token * -count)()
            count = lib.llama_tokenize(self._vocab, raw, len(raw), buffer, -count, bos, special)
        return list(buffer[:count])

    def _piece(self, token: int) -> bytes:
        buffer = ctypes.create_string_buffer(64)
        size = lib.llama_token_to_piece(self._vocab, token, buffer, 64, 0, False)
        if size < 0:
            buffer = ctypes.create_string_buffer(-size)
            size = lib.llama_token_to_piece(self._vocab, token, buffer, -size, 0, False)
        return buffer.raw[:size]

    def detokenize(self, tokens: tuple[int, ...] | list[int]) -> str:
        """Return the text of generated tokens; control tokens have none.

        The bytes are joined before they are decoded, so a character spread over several tokens
        is whole; bytes that are no UTF-8 become U+FFFD.
        """
        return b"".join(map(self.piece, tokens)).decode("utf-8", "replace")
