"""Tiny Qwen3 models, made by the tests: real architecture and vocabulary, made-up weights.

The residual stream of a token holds a phase (which place of a text it stands at) and a random
part. The output matrix gives a token of the next phase the highest logit; which of the phase's
tokens it is, the random part decides, to which attention and feed-forward layers add what the
prompt holds. So the texts differ from prompt to prompt, and end after a known number of tokens:

* Instruct: words, then ``<|im_end|>``, its end token;
* Base: words, ``<|im_end|>`` in the midst (which must not stop it), words, ``<|endoftext|>``;
* Thinking: words, ``</think>``, words, ``<|im_end|>``; with ``ends=False`` it never leaves the
  first words.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from filelock import FileLock
from gguf import GGUFReader, GGUFWriter, TokenType
from numpy.typing import NDArray

from steerability.support.files import write_atomic
from support.llama_source import TEMPLATE, VOCABULARY, source_file

Architecture = Literal["qwen3", "qwen3moe"]
Stage = Literal["Base", "Instruct", "Thinking"]

WIDTH, LAYERS, HEADS, KV_HEADS, HEAD, FEED, EXPERTS, EXPERTS_USED = 64, 2, 4, 2, 16, 96, 4, 2
PHASES = 20
WORDS_PER_PHASE = 24
FIRST_ADDED = 151_643
_SUITE = Path(__file__).resolve().parents[2] / "workflow" / "suites" / "builtin" / "suite.yaml"
_OBJECTS = ("object_ref_start", "object_ref_end", "box_start", "box_end", "quad_start", "quad_end")
_VISION = ("vision_start", "vision_end", "vision_pad", "image_pad", "video_pad")
_FILL = ("fim_prefix", "fim_middle", "fim_suffix", "fim_pad", "repo_name", "file_sep")
ADDED = [
    *(f"<|{name}|>" for name in ("endoftext", "im_start", "im_end", *_OBJECTS, *_VISION)),
    "<tool_call>",
    "</tool_call>",
    *(f"<|{name}|>" for name in _FILL),
    "<tool_response>",
    "</tool_response>",
    "<think>",
    "</think>",
]
NOT_SPECIAL = {text for text in ADDED if not text.startswith("<|")}


@dataclass(frozen=True)
class Vocabulary:
    """Tokens with their types, and merges, as a GGUF file holds them."""

    tokens: list[str]
    types: list[int]
    merges: list[str]

    def id(self, text: str) -> int:
        return self.tokens.index(text)


@cache
def _source() -> tuple[list[str], list[int], list[str]]:
    """Read the vocabulary; gguf takes half a minute over it, so a JSON copy is kept beside it."""
    path = source_file(VOCABULARY)
    copy = path.with_suffix(".json")
    with FileLock(copy.with_suffix(".lock")):
        if not copy.exists():
            fields = GGUFReader(path).fields
            names = ("tokens", "token_type", "merges")
            lists = [fields[f"tokenizer.ggml.{name}"].contents() for name in names]
            write_atomic(copy, json.dumps(lists).encode("utf-8"))
    tokens, types, merges = json.loads(copy.read_bytes())
    return tokens, types, merges


@cache
def vocabulary(*, merges: int | None = None, control: bool = True) -> Vocabulary:
    """Return Qwen3's vocabulary, or a small one of its kind.

    Args:
        merges: keep only so many merges; the added tokens then follow at other ids. None is the
            real vocabulary with Qwen3's ids.
        control: all added tokens are control tokens; otherwise those that the published
            tokenizer does not call special (thinking and tools) are plain added tokens.
    """
    tokens, types, all_merges = _source()
    kinds = [
        int(TokenType.USER_DEFINED if text in NOT_SPECIAL and not control else TokenType.CONTROL)
        for text in ADDED
    ]
    if merges is None:
        end = FIRST_ADDED + len(ADDED)
        tokens = tokens[:FIRST_ADDED] + ADDED + tokens[end:]
        return Vocabulary(tokens, types[:FIRST_ADDED] + kinds + types[end:], all_merges)
    plain = 256 + merges
    return Vocabulary(tokens[:plain] + ADDED, types[:plain] + kinds, all_merges[:merges])


def template(stage: Stage) -> str:
    """Return Qwen3's chat template; Thinking's opens the thought, as that checkpoint's does."""
    text = source_file(TEMPLATE).read_text(encoding="utf-8")
    if stage != "Thinking":
        return text
    opened = text.replace(r"'<|im_start|>assistant\n' }}", r"'<|im_start|>assistant\n<think>\n' }}")
    assert opened != text
    return opened


def make(
    path: Path,
    *,
    architecture: Architecture = "qwen3",
    stage: Stage = "Instruct",
    ends: bool = True,
    merges: int | None = None,
    control: bool = True,
    seed: int = 1,
    context_length: int = 32_768,
    tensors_per_shard: int = 0,
) -> Path:
    """Write a model file and return its path (of the first shard, when it is sharded).

    Args:
        path: the GGUF file.
        architecture: dense or mixture of experts.
        stage: which checkpoint it behaves like.
        ends: the text ends by itself.
        merges: see ``vocabulary``.
        control: see ``vocabulary``.
        seed: of the random weights.
        context_length: the context the file says it was trained with.
        tensors_per_shard: split the file into shards of so many tensors; 0 is one file.
    """
    words = vocabulary(merges=merges, control=control)
    end = "<|endoftext|>" if stage == "Base" else "<|im_end|>"
    writer = GGUFWriter(path, architecture, split_max_tensors=tensors_per_shard)
    writer.add_name(f"tiny {stage} {seed}")
    writer.add_context_length(context_length)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_key_length(HEAD)
    writer.add_value_length(HEAD)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(1e6)
    writer.add_file_type(1)
    if architecture == "qwen3moe":
        writer.add_expert_count(EXPERTS)
        writer.add_expert_used_count(EXPERTS_USED)
        writer.add_expert_feed_forward_length(FEED)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(words.tokens)
    writer.add_token_types(words.types)
    writer.add_token_merges(words.merges)
    writer.add_eos_token_id(words.id(end))
    writer.add_pad_token_id(words.id("<|endoftext|>"))
    writer.add_add_bos_token(False)
    writer.add_chat_template(template(stage))
    for name, values in _tensors(words, architecture, stage, end, ends, seed).items():
        kind = np.float16 if values.ndim > 1 and "ffn_gate_inp" not in name else np.float32
        writer.add_tensor(name, np.ascontiguousarray(values, dtype=kind))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path if not tensors_per_shard else min(path.parent.glob(f"{path.stem}-*-of-*.gguf"))


def _plan(words: Vocabulary, stage: Stage, end: str, ends: bool, seed: int) -> list[list[int]]:
    """Return the tokens of each phase from 1 on, words of the built-in suite, then the end."""
    known = set(re.findall(r"[a-z]{3,}", _SUITE.read_text(encoding="utf-8")))
    plain = [
        number
        for number, text in enumerate(words.tokens[: len(words.tokens) - len(ADDED)])
        if text.startswith("Ġ") and text[1:] in known
    ]
    generator = np.random.default_rng(seed)
    chosen = generator.permutation(plain).tolist()
    each = min(WORDS_PER_PHASE, len(chosen) // (PHASES - 1))
    phases = [chosen[place * each : (place + 1) * each] for place in range(PHASES - 1)]
    middle = {"Base": "<|im_end|>", "Thinking": "</think>", "Instruct": None}[stage]
    if middle is not None and ends:
        phases[8] = [words.id(middle)]
    if ends:
        phases[-1] = [words.id(end)]
    return phases


def _tensors(
    words: Vocabulary, architecture: Architecture, stage: Stage, end: str, ends: bool, seed: int
) -> dict[str, NDArray[np.floating]]:
    generator = np.random.default_rng([seed, 7])

    def draw(*shape: int, scale: float = 1.0) -> NDArray[np.floating]:
        values: NDArray[np.floating] = generator.standard_normal(shape, dtype=np.float32)
        return values * np.float32(scale)

    size = len(words.tokens)
    embedding = draw(size, WIDTH, scale=0.5)
    embedding[:, :PHASES] = 0
    embedding[:, 0] = 4
    output = np.zeros((size, WIDTH), np.float32)
    phases = _plan(words, stage, end, ends, seed)
    for phase, tokens in enumerate(phases, start=1):
        embedding[tokens, 0] = 0
        embedding[tokens, phase] = 4
        output[tokens] = draw(len(tokens), WIDTH)
        output[tokens, :PHASES] = 0
        output[tokens, phase - 1] = 30
    if not ends:
        output[phases[0], len(phases)] = 30
    tensors = {
        "token_embd.weight": embedding,
        "output.weight": output,
        "output_norm.weight": np.ones(WIDTH, np.float32),
    }

    def into_stream(*shape: int, scale: float) -> NDArray[np.floating]:
        """A matrix into the residual stream that leaves the phase alone."""
        values = draw(*shape, scale=scale)
        values[..., :PHASES, :] = 0
        return values

    for layer in range(LAYERS):
        block = {
            "attn_norm": np.ones(WIDTH, np.float32),
            "attn_q": draw(HEADS * HEAD, WIDTH, scale=0.3),
            "attn_k": draw(KV_HEADS * HEAD, WIDTH, scale=0.3),
            "attn_v": draw(KV_HEADS * HEAD, WIDTH, scale=0.3),
            "attn_q_norm": np.full(HEAD, 1.5, np.float32),
            "attn_k_norm": np.full(HEAD, 1.5, np.float32),
            "attn_output": into_stream(WIDTH, HEADS * HEAD, scale=0.05),
            "ffn_norm": np.ones(WIDTH, np.float32),
        }
        if architecture == "qwen3":
            block |= {
                "ffn_gate": draw(FEED, WIDTH, scale=0.2),
                "ffn_up": draw(FEED, WIDTH, scale=0.2),
                "ffn_down": into_stream(WIDTH, FEED, scale=0.03),
            }
        else:
            block |= {
                "ffn_gate_inp": draw(EXPERTS, WIDTH, scale=0.5),
                "ffn_gate_exps": draw(EXPERTS, FEED, WIDTH, scale=0.2),
                "ffn_up_exps": draw(EXPERTS, FEED, WIDTH, scale=0.2),
                "ffn_down_exps": into_stream(EXPERTS, WIDTH, FEED, scale=0.03),
            }
        tensors |= {f"blk.{layer}.{name}.weight": values for name, values in block.items()}
    return tensors
