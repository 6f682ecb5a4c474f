"""A tiny random Gemma 3: tied embeddings, scaled, and norms behind what blocks write."""

from pathlib import Path

import gguf
import numpy as np

from support.models import ADDED, CHATML, SPECIALS, byte_letters

WIDTH, HEADS, KV_HEADS, HEAD, FEED = 64, 4, 2, 16, 128
SCALE = WIDTH**0.5


def tiny_gemma(path: Path, *, layers: int = 3, seed: int = 0) -> Path:
    """Write a float32 file with a byte vocabulary."""
    rng = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "gemma3")
    writer.add_context_length(1024)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(FEED)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_key_length(HEAD)
    writer.add_value_length(HEAD)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_sliding_window(512)
    letters = [letter for _, letter in sorted(byte_letters().items())]
    tokens = [*SPECIALS, *ADDED, *letters, "th"]
    kinds = [gguf.TokenType.CONTROL] * len(SPECIALS)
    kinds += [gguf.TokenType.USER_DEFINED] * len(ADDED)
    kinds += [gguf.TokenType.NORMAL] * (len(letters) + 1)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(["t h"])
    writer.add_eos_token_id(0)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHATML)

    def put(name: str, *shape: int, scale: float = 0.2) -> None:
        values = rng.standard_normal(shape, dtype=np.float32) * np.float32(scale)
        writer.add_tensor(name, values)

    def norm(name: str, size: int) -> None:
        writer.add_tensor(name, rng.uniform(0.5, 2, size).astype(np.float32))

    put("token_embd.weight", len(tokens), WIDTH, scale=0.1)
    norm("output_norm.weight", WIDTH)
    for layer in range(layers):
        block = f"blk.{layer}"
        for name in ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"):
            norm(f"{block}.{name}.weight", WIDTH)
        for name in ("attn_q_norm", "attn_k_norm"):
            norm(f"{block}.{name}.weight", HEAD)
        put(f"{block}.attn_q.weight", HEADS * HEAD, WIDTH)
        put(f"{block}.attn_k.weight", KV_HEADS * HEAD, WIDTH)
        put(f"{block}.attn_v.weight", KV_HEADS * HEAD, WIDTH)
        put(f"{block}.attn_output.weight", WIDTH, HEADS * HEAD)
        put(f"{block}.ffn_gate.weight", FEED, WIDTH)
        put(f"{block}.ffn_up.weight", FEED, WIDTH)
        put(f"{block}.ffn_down.weight", WIDTH, FEED)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
