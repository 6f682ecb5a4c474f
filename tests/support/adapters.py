"""Adapter files for tests, written by gguf's own writer: vectors, LoRA and broken ones."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from steerability.engine import Adapter, Adapters, Engine
from support.models import requantize, tiny

WIDTH = 64


def write(
    path: Path,
    architecture: str | None,
    tensors: Mapping[str, np.ndarray],
    **fields: Any,
) -> Path:
    """Write a GGUF file of these tensors; a field's dots are two underscores."""
    writer = gguf.GGUFWriter(path, architecture or "none")
    for key, value in fields.items():
        name = key.replace("__", ".")
        if isinstance(value, str):
            writer.add_string(name, value)
        elif isinstance(value, list):
            writer.add_array(name, value)
        elif isinstance(value, float):
            writer.add_float32(name, value)
        else:
            writer.add_uint32(name, value)
    for name, array in tensors.items():
        writer.add_tensor(name, np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def rows(blocks: int, width: int = WIDTH, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    """Random rows, one for each block but the first."""
    generator = np.random.default_rng(seed)
    return (scale * generator.standard_normal((blocks - 1, width))).astype(np.float32)


def vector(path: Path, values: np.ndarray, *, hint: str = "qwen3", **fields: Any) -> Path:
    """Write a control vector; row k - 1 is direction.k."""
    tensors = {f"direction.{k}": row for k, row in enumerate(values, start=1)}
    fields = {
        "controlvector__model_hint": hint,
        "controlvector__layer_count": len(values),
        **fields,
    }
    return write(path, "controlvector", tensors, **fields)


def factors(
    shapes: Mapping[str, tuple[int, ...]], rank: int = 2, seed: int = 0, scale: float = 0.3
) -> dict[str, np.ndarray]:
    """Random factors for matrices; shapes in numpy's order: (experts,) outputs, inputs."""
    generator = np.random.default_rng(seed)
    found = {}
    for name, (*experts, outputs, inputs) in shapes.items():
        for side, sizes in (("a", (rank, inputs)), ("b", (outputs, rank))):
            values = scale * generator.standard_normal((*experts, *sizes))
            found[f"{name}.lora_{side}"] = values.astype(np.float32)
    return found


def lora(
    path: Path,
    tensors: Mapping[str, np.ndarray],
    *,
    architecture: str = "qwen3",
    alpha: float = 0.0,
    **fields: Any,
) -> Path:
    """Write a LoRA."""
    fields = {
        "general__type": "adapter",
        "adapter__type": "lora",
        "adapter__lora__alpha": alpha,
        **fields,
    }
    return write(path, architecture, tensors, **fields)


DENSE = {
    "blk.0.attn_output.weight": (64, 64),
    "blk.1.ffn_down.weight": (64, 128),
    "blk.1.attn_q.weight": (64, 64),
}
MIXTURE = {
    "blk.0.attn_output.weight": (64, 64),
    "blk.1.ffn_down_exps.weight": (4, 64, 128),
    "blk.1.ffn_up_exps.weight": (4, 128, 64),
}


def shapes(*, moe: bool) -> dict[str, tuple[int, ...]]:
    """Matrices of the tiny models of ``support.models``, with their sizes."""
    return MIXTURE if moe else DENSE


BLOCKS = 3


class SteeredModel:
    """Tiny weights with a vector and two LoRA, quantised as the embedded model is."""

    def __init__(self, folder: Path, *, moe: bool, kind: str = "F32") -> None:
        self.folder, self.moe = folder, moe
        self.arch = "qwen3moe" if moe else "qwen3"
        self.path = tiny(folder / "tiny.gguf", moe=moe, layers=BLOCKS)
        if kind != "F32":
            self.path = requantize(self.path, folder / f"{kind}.gguf", kind)
        self.rows = rows(BLOCKS)
        self.vector = vector(folder / "v.gguf", self.rows, hint=self.arch)
        self.loras = [
            lora(
                folder / f"l{seed}.gguf",
                factors(shapes(moe=moe), rank=1 + seed, seed=seed),
                architecture=self.arch,
                alpha=4.0 * seed,
            )
            for seed in (0, 1)
        ]

    def adapters(self, engine: Engine, name: str) -> Adapters:
        one = Adapter("vector", engine.add_adapter("vector", self.vector), 0.5)
        others = [Adapter("lora", engine.add_adapter("lora", path), 0.7) for path in self.loras]
        chosen = {"none": [], "vector": [one], "lora": others[:1], "both": [one, *others]}
        return Adapters.of(chosen[name])
