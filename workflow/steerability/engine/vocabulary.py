"""The vocabulary of a loaded GGUF file: text to token ids and back."""

import ctypes
import re
from functools import cached_property, lru_cache

from steerability.engine.errors import PromptError
from steerability.engine.library import lib
from steerability.engine.weights import Weights

_UNKNOWN, _CONTROL, _USER_DEFINED = 1 << 0, 1 << 3, 1 << 4
_LSTRIP, _RSTRIP = 1 << 7, 1 << 8
_MARK = re.compile(r"\s*[<\[{(|«].*\w.*[>\]})|»]\s*", re.DOTALL)
# no vocabulary merges this non-character with anything
_FENCE = "\uffff"


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
    def named(self) -> dict[str, str]:
        """The special tokens that templates know by name, as ``transformers`` names them."""
        ids = {
            "bos_token": self.bos,
            "eos_token": self.eos,
            "pad_token": int(lib.llama_vocab_pad(self._vocab)),
            "sep_token": int(lib.llama_vocab_sep(self._vocab)),
            "mask_token": int(lib.llama_vocab_mask(self._vocab)),
            "unk_token": int(self._weights.metadata("tokenizer.ggml.unknown_token_id") or -1),
        }
        texts = {name: self.text(token) for name, token in ids.items()}
        return {n: t for n, t in texts.items() if t or n in ("bos_token", "eos_token")}

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

    @cached_property
    def marks(self) -> dict[str, int]:
        """Those added tokens that look like marks (``</think>``, ``[INST]``), with their ids."""
        return {text: i for text, i in self.user_defined.items() if _MARK.fullmatch(text)}

    @cached_property
    def special(self) -> dict[str, int]:
        """Control tokens and marks."""
        return {**self.control, **self.marks}

    @cached_property
    def unknown(self) -> set[int]:
        """Tokens that stand for text which the vocabulary lacks; any text may hold them."""
        return set(self._marked(_UNKNOWN).values())

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

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        """Return a text's token ids, without a first or last token that the text does not name.

        Args:
            text: any text.
            special: read the texts of control tokens as those tokens; never for outside text.
        """
        raw = text.encode("utf-8", "surrogatepass")
        room = len(raw) + 8
        buffer = (lib.llama_token * room)()
        count = lib.llama_tokenize(self._vocab, raw, len(raw), buffer, room, False, special)
        if count < 0:
            buffer = (lib.llama_token * -count)()
            count = lib.llama_tokenize(self._vocab, raw, len(raw), buffer, -count, False, special)
        return list(buffer[:count])

    def tokenize_on(self, text: str) -> list[int]:
        """Return the token ids of plain text that goes on behind other text.

        Vocabularies that put a blank in front of a text put none here.

        Raises:
            PromptError: this vocabulary's tokens cannot be told apart so.
        """
        if not self._puts_blank:
            return self.tokenize(text)
        head, whole = self.tokenize(_FENCE), self.tokenize(_FENCE + text)
        if whole[: len(head)] != head:
            raise PromptError("the vocabulary cannot go on behind a text that is cut")
        return whole[len(head) :]

    @cached_property
    def _puts_blank(self) -> bool:
        first = self.tokenize("a")[:1]
        return any(self.piece(token).startswith(b" ") for token in first)

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
