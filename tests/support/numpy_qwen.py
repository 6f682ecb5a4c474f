"""Qwen3 in numpy and float64: a second implementation that knows nothing of llama.cpp."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import gguf
import numpy as np

Weights = Mapping[str, np.ndarray]


def read(path: Path) -> dict[str, np.ndarray]:
    """Read all tensors of a float32 file."""
    return {t.name: t.data.astype(np.float64) for t in gguf.GGUFReader(path).tensors}


def _norm(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * weight


def _rotate(x: np.ndarray, base: float) -> np.ndarray:
    """Rotary positions over tokens × heads × size, halves paired (NeoX)."""
    half = x.shape[-1] // 2
    angles = np.arange(len(x))[:, None] * base ** (-np.arange(half) / half)
    sine, cosine = np.sin(angles)[:, None], np.cos(angles)[:, None]
    one, two = x[..., :half], x[..., half:]
    return np.concatenate([one * cosine - two * sine, two * cosine + one * sine], -1)


def blocks(
    weights: Weights,
    tokens: Sequence[int],
    *,
    heads: int = 4,
    kv_heads: int = 2,
    base: float = 10000.0,
    added: Mapping[int, np.ndarray] | None = None,
) -> np.ndarray:
    """Return the residual stream after every block, blocks × tokens × width.

    Args:
        weights: by GGUF name.
        tokens: ids.
        heads: of queries.
        kv_heads: of keys and values.
        base: of the rotary positions.
        added: rows added to the outputs of blocks.
    """
    x = weights["token_embd.weight"][list(tokens)]
    count = len(tokens)
    mask = np.triu(np.full((count, count), -np.inf), 1)
    found = []
    for block in range(1 + max(int(n.split(".")[1]) for n in weights if n.startswith("blk."))):

        def w(name: str, block: int = block) -> np.ndarray:
            return weights[f"blk.{block}.{name}.weight"]

        h = _norm(x, w("attn_norm"))
        q, k, v = (
            (h @ w(f"attn_{name}").T).reshape(count, number, -1)
            for name, number in (("q", heads), ("k", kv_heads), ("v", kv_heads))
        )
        q, k = (
            _rotate(_norm(one, w(f"attn_{name}_norm")), base) for one, name in ((q, "q"), (k, "k"))
        )
        out = []
        for head in range(heads):
            group = head * kv_heads // heads
            scores = q[:, head] @ k[:, group].T / np.sqrt(q.shape[-1]) + mask
            chances = np.exp(scores - scores.max(-1, keepdims=True))
            out.append(chances / chances.sum(-1, keepdims=True) @ v[:, group])
        x = x + np.concatenate(out, -1) @ w("attn_output").T
        h = _norm(x, w("ffn_norm"))
        gate = h @ w("ffn_gate").T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ w("ffn_up").T)) @ w("ffn_down").T
        if added and block in added:
            x = x + added[block]
        found.append(x)
    return np.stack(found)
