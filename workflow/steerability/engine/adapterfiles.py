"""Adapter files, read and checked before llama.cpp sees anything of them.

llama.cpp aborts the process on some of what is wrong here (a LoRA on tied token embeddings,
expert counts or ranks that do not fit, a field of another type) and passes over other things in
silence (changes of norms, a model hint). So every file is read once, hashed, parsed and compared
with the model, and llama.cpp is given only what was made of it (``fitted.py``).
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from steerability.engine.errors import AdapterError
from steerability.engine.gguffile import (
    BrokenFileError,
    Header,
    Scalar,
    Tensor,
    parse,
    read_header,
    shard_paths,
    type_name,
    values,
)
from steerability.engine.weights import Weights

_F32, _F16, _Q8_0, _BF16 = 0, 1, 8, 30
_LORA_TYPES = {_F32, _F16, _BF16, _Q8_0}
_DIRECTION = re.compile(r"^direction\.([1-9]\d{0,4})$")
_EMBEDDING = "token_embd.weight"
_OTHER_MODEL = "name an adapter that was made for these weights"
_AGAIN = "fetch the file again"
# what other programs call an architecture of llama.cpp in a vector's model hint
_ALIASES = {"mistral": "llama", "mixtral": "llama", "gemma3text": "gemma3"}


@dataclass(frozen=True)
class ModelShape:
    """What an adapter must fit.

    Attributes:
        architecture: llama.cpp's name of it.
        width: of the residual stream.
        blocks: how many there are.
        tensors: sizes by name, the fastest first.
    """

    architecture: str
    width: int
    blocks: int
    tensors: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, weights: Weights) -> "ModelShape":
        """Read it off a model's header, all shards."""
        tensors: dict[str, tuple[int, ...]] = {}
        for path in shard_paths(weights.path):
            found = read_header(path).tensors
            tensors |= {name: tensor.shape for name, tensor in found.items()}
        return cls(
            weights.architecture,
            weights.number("embedding_length"),
            # blocks that predict further tokens stand apart and take no part in a text
            weights.number("block_count") - weights.number("nextn_predict_layers"),
            tensors,
        )


@dataclass(frozen=True)
class VectorFile:
    """A control vector.

    Attributes:
        path: where it was read.
        sha256: its digest.
        rows: float32, one for each block but the first; row ``k - 1`` is ``direction.k``, zeros
            where the file has none.
    """

    path: Path
    sha256: str
    rows: NDArray[np.float32]


@dataclass(frozen=True)
class LoraFile:
    """A LoRA whose tensors fit the model.

    Attributes:
        path: where it was read.
        sha256: its digest.
        alpha: the file's; 0 where the products are not to be scaled by ``alpha / rank``.
        names: of the model's tensors that it changes.
    """

    path: Path
    sha256: str
    alpha: float
    names: tuple[str, ...]

    def pairs(self) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Read the factors A and B of every tensor, in numpy's order of sizes.

        Raises:
            AdapterError: the file is not the one that was checked any more.
        """
        content = _content(self.path)
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise AdapterError("has changed since it was checked", _AGAIN, self.path)
        header = parse(content)
        factors = {
            name: np.atleast_2d(values(content, tensor)) for name, tensor in header.tensors.items()
        }
        return {name: (factors[f"{name}.lora_a"], factors[f"{name}.lora_b"]) for name in self.names}


def read_vector(path: Path, model: ModelShape) -> VectorFile:
    """Read a control vector and check that it fits a model.

    Args:
        path: a GGUF file of the architecture ``controlvector``.
        model: what it must fit.

    Raises:
        AdapterError: it is missing, broken, no control vector, or made for another model.
    """
    content, header = _read(path)
    if header.fields.get("general.architecture") != "controlvector":
        raise AdapterError(
            f"is no control vector but {_kind(header)}", "name a control vector", path
        )
    hint = _text(header, "controlvector.model_hint", path)
    if hint and _plain(hint) != _plain(model.architecture):
        raise AdapterError(
            f"was made for the architecture {hint}, the weights are {model.architecture}",
            _OTHER_MODEL,
            path,
        )
    rows = np.zeros((max(model.blocks - 1, 0), model.width), np.float32)
    numbers = {name: _number(name, path) for name in header.tensors}
    if not numbers:
        raise AdapterError("holds no direction", _AGAIN, path)
    count = _whole(header, "controlvector.layer_count", path)
    if max(numbers.values()) >= model.blocks or count > model.blocks:
        raise AdapterError(
            f"was made for a model of {max(count, max(numbers.values()) + 1)} blocks or more, the "
            f"weights have {model.blocks}",
            _OTHER_MODEL,
            path,
        )
    for name, tensor in header.tensors.items():
        if tensor.type != _F32:
            raise AdapterError(
                f"{name} is of type {type_name(tensor.type)}, not F32",
                "write the vector in 32 bits",
                path,
            )
        if tensor.shape != (model.width,):
            raise AdapterError(
                f"{name} has the size {_sizes(tensor.shape)}, the weights' width is {model.width}",
                _OTHER_MODEL,
                path,
            )
        rows[numbers[name] - 1] = _finite(content, name, tensor, path)
    return VectorFile(path, hashlib.sha256(content).hexdigest(), rows)


def read_lora(path: Path, model: ModelShape) -> LoraFile:
    """Read a LoRA and check that it fits a model.

    Args:
        path: a GGUF file of the type ``adapter``.
        model: what it must fit.

    Raises:
        AdapterError: it is missing, broken, no LoRA, made for another model, or changes what
            llama.cpp cannot change.
    """
    content, header = _read(path)
    if _text(header, "general.type", path) != "adapter":
        raise AdapterError(f"is no LoRA but {_kind(header)}", "name a LoRA adapter", path)
    kind = _text(header, "adapter.type", path)
    if kind != "lora":
        raise AdapterError(f"is an adapter of type {kind or 'unknown'}, not lora", "", path)
    architecture = _text(header, "general.architecture", path)
    if architecture != model.architecture:
        raise AdapterError(
            f"was made for the architecture {architecture or 'unknown'}, the weights are "
            f"{model.architecture}",
            _OTHER_MODEL,
            path,
        )
    if "adapter.alora.invocation_tokens" in header.fields:
        raise AdapterError(
            "is an activated LoRA, which acts after certain tokens only", "name a plain LoRA", path
        )
    alpha = header.fields.get("adapter.lora.alpha", 0.0)
    if not isinstance(alpha, float) or not np.isfinite(alpha):
        raise AdapterError("adapter.lora.alpha is no 32-bit number", _AGAIN, path)
    names = _targets(header, path)
    for name in names:
        a, b = (header.tensors[f"{name}.lora_{side}"] for side in "ab")
        _check_pair(name, a, b, model, path)
        for side, tensor in (("a", a), ("b", b)):
            _finite(content, f"{name}.lora_{side}", tensor, path)
    return LoraFile(path, hashlib.sha256(content).hexdigest(), alpha, names)


def _targets(header: Header, path: Path) -> tuple[str, ...]:
    names: dict[str, set[str]] = {}
    for name in header.tensors:
        target, _, side = name.rpartition(".lora_")
        if side not in ("a", "b") or not target:
            raise AdapterError(
                f"{name} is no factor of a LoRA, and llama.cpp would leave it out",
                "name an adapter that changes matrices only",
                path,
            )
        names.setdefault(target, set()).add(side)
    for target, sides in names.items():
        if len(sides) < 2:
            missing = ({"a", "b"} - sides).pop()
            raise AdapterError(f"{target}.lora_{missing} is missing", _AGAIN, path)
    if not names:
        raise AdapterError("holds no tensors", _AGAIN, path)
    return tuple(names)


def _check_pair(name: str, a: Tensor, b: Tensor, model: ModelShape, path: Path) -> None:
    shape = model.tensors.get(name)
    if shape is None:
        raise AdapterError(f"changes {name}, which the weights have not", _OTHER_MODEL, path)
    if name == _EMBEDDING and "output.weight" not in model.tensors:
        raise AdapterError(
            "changes the token embeddings, which these weights use as output matrix too, and "
            "llama.cpp cannot do that",
            "name an adapter without token_embd",
            path,
        )
    if len(shape) < 2:
        raise AdapterError(f"changes {name}, which is no matrix", _OTHER_MODEL, path)
    for factor in (a, b):
        if factor.type not in _LORA_TYPES:
            raise AdapterError(
                f"a factor of {name} is of type {type_name(factor.type)}",
                "convert it to F32, F16, BF16 or Q8_0",
                path,
            )
    inputs, outputs, *experts = (*shape, *[1] * (4 - len(shape)))
    left, right = (
        [*factor.shape, *[1] * (4 - len(factor.shape))]  # sizes of one stand for themselves
        for factor in (a, b)
    )
    if name == _EMBEDDING:
        # llama.cpp takes rows of A by token and keeps both factors the other way round
        rank = right[0]
        wanted = ([rank, outputs, *experts], [rank, inputs, *experts])
    else:
        rank = left[1]
        wanted = ([inputs, rank, *experts], [rank, outputs, *experts])
    if (left, right) != wanted:
        raise AdapterError(
            f"the factors of {name} have the sizes {_sizes(a.shape)} and {_sizes(b.shape)}, the "
            f"weights' matrix {_sizes(shape)}",
            _OTHER_MODEL,
            path,
        )


def _read(path: Path) -> tuple[bytes, Header]:
    content = _content(path)
    try:
        return content, parse(content)
    except BrokenFileError as error:
        raise AdapterError(str(error), _AGAIN, path) from error


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise AdapterError(
            f"cannot be read: {error.strerror}", "fetch it or name another file", path
        ) from error


def _finite(content: bytes, name: str, tensor: Tensor, path: Path) -> NDArray[np.float32]:
    found = values(content, tensor)
    if not np.isfinite(found).all():
        raise AdapterError(f"{name} holds what is no finite number", _AGAIN, path)
    return found


def _number(name: str, path: Path) -> int:
    found = _DIRECTION.match(name)
    if found is None:
        raise AdapterError(
            f"holds a tensor {name}; a control vector's are direction.1 and so on", _AGAIN, path
        )
    return int(found[1])


def _text(header: Header, name: str, path: Path) -> str:
    value = header.fields.get(name, "")
    if not isinstance(value, str):
        raise AdapterError(f"{name} is no text", _AGAIN, path)
    return value


def _whole(header: Header, name: str, path: Path) -> int:
    value: Scalar | None = header.fields.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int):
        raise AdapterError(f"{name} is no whole number", _AGAIN, path)
    return value


def _kind(header: Header) -> str:
    if header.fields.get("general.architecture") == "controlvector":
        return "a control vector"
    if header.fields.get("general.type") == "adapter":
        return "an adapter of another kind"
    return "a model file" if header.tensors else "something else"


def _plain(architecture: str) -> str:
    word = re.sub(r"[^a-z0-9]", "", architecture.lower())
    return _ALIASES.get(word, word)


def _sizes(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
