"""GGUF files as data: headers and tensors read by llama.cpp's own parser, small files written.

The parser is the hardened one of ``gguf.cpp``: a header that is cut, overlaps or lies about its
sizes is refused and never believed. What it returns is copied out at once. Of a field whose type
differs from what the reader expects llama.cpp aborts the process, so types are asked first.
"""

import ctypes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steerability.engine.library import lib, reasons

Scalar = str | int | float | bool
_STRING, _ARRAY = 8, 9
_GETTERS: dict[int, tuple[str, Any]] = {
    0: ("u8", ctypes.c_uint8),
    1: ("i8", ctypes.c_int8),
    2: ("u16", ctypes.c_uint16),
    3: ("i16", ctypes.c_int16),
    4: ("u32", ctypes.c_uint32),
    5: ("i32", ctypes.c_int32),
    6: ("f32", ctypes.c_float),
    7: ("bool", ctypes.c_bool),
    _STRING: ("str", ctypes.c_char_p),
    10: ("u64", ctypes.c_uint64),
    11: ("i64", ctypes.c_int64),
    12: ("f64", ctypes.c_double),
}
_DIMENSIONS = 4
_SHARD = re.compile(r"^(.+)-00001-of-(\d{5})\.gguf$")


class BrokenFileError(Exception):
    """The bytes are no GGUF file, or one that is cut short; the message says which."""


@dataclass(frozen=True)
class Tensor:
    """A tensor of a file.

    Attributes:
        type: ggml's number of the type.
        shape: sizes as ggml counts them, the fastest first, without trailing ones.
        offset: of its first byte, from the beginning of the file.
        size: in bytes.
    """

    type: int
    shape: tuple[int, ...]
    offset: int
    size: int


@dataclass(frozen=True)
class Header:
    """What a file says of itself.

    Attributes:
        fields: scalars by name; a list counts as None.
        tensors: by name, in the order of the file.
    """

    fields: Mapping[str, Scalar | None]
    tensors: Mapping[str, Tensor]


class _Parameters(ctypes.Structure):
    _fields_ = (("no_alloc", ctypes.c_bool), ("ctx", ctypes.c_void_p))


@cache
def _parser() -> Any:
    """Return the library that llama.cpp itself uses, with the parser's types declared."""
    library = lib._lib
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    declared: dict[str, tuple[Any, list[Any]]] = {
        "init_from_buffer": (pointer, [pointer, ctypes.c_size_t, _Parameters]),
        "init_from_file": (pointer, [ctypes.c_char_p, _Parameters]),
        "free": (None, [pointer]),
        "get_data_offset": (ctypes.c_size_t, [pointer]),
        "get_n_kv": (number, [pointer]),
        "get_key": (ctypes.c_char_p, [pointer, number]),
        "get_kv_type": (ctypes.c_int, [pointer, number]),
        "get_n_tensors": (number, [pointer]),
        "get_tensor_name": (ctypes.c_char_p, [pointer, number]),
        "get_tensor_type": (ctypes.c_int, [pointer, number]),
        "get_tensor_ne": (ctypes.POINTER(number), [pointer, number]),
        "get_tensor_offset": (ctypes.c_size_t, [pointer, number]),
        "get_tensor_size": (ctypes.c_size_t, [pointer, number]),
    }
    for name, kind in _GETTERS.values():
        declared[f"get_val_{name}"] = (kind, [pointer, number])
    for name, (result, arguments) in declared.items():
        function = getattr(library, f"gguf_{name}")
        function.restype, function.argtypes = result, arguments
    return library


def parse(content: bytes) -> Header:
    """Read the header of a file's whole content.

    Raises:
        BrokenFileError: it is no GGUF file, or the header promises more than there is.
    """
    with reasons() as reason:
        raw = _parser().gguf_init_from_buffer(content, len(content), _Parameters(True, None))
        if not raw:
            raise BrokenFileError(_in_words(content[:4], reason()))
    return _copied(raw, len(content))


def read_header(path: Path) -> Header:
    """Read the header of a file on disk.

    Raises:
        BrokenFileError: it is no GGUF file, or the header promises more than there is.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        magic = file.read(4)
    with reasons() as reason:
        raw = _parser().gguf_init_from_file(str(path).encode(), _Parameters(True, None))
        if not raw:
            raise BrokenFileError(_in_words(magic, reason()))
    return _copied(raw, path.stat().st_size)


def shard_paths(path: Path) -> list[Path]:
    """Return the files of a model from its first one's path; the path alone if there is one."""
    found = _SHARD.match(path.name)
    if found is None:
        return [path]
    count = int(found[2])
    names = [f"{found[1]}-{number:05d}-of-{found[2]}.gguf" for number in range(1, count + 1)]
    return [path.with_name(name) for name in names]


def values(content: Any, tensor: Tensor) -> NDArray[np.float32]:
    """Return a tensor's values as 32-bit numbers, dequantised where need be.

    Args:
        content: the file's bytes, or an array of them mapped from disk.
        tensor: one of its header's.

    Returns:
        An array of the tensor's shape in numpy's order: the fastest size last.

    Raises:
        NotImplementedError: the type has no dequantisation.
    """
    from gguf import GGMLQuantizationType
    from gguf.quants import dequantize

    kind = GGMLQuantizationType(tensor.type)
    raw = np.frombuffer(content, np.uint8, tensor.size, tensor.offset)
    stored = {GGMLQuantizationType.F32: np.float32, GGMLQuantizationType.F16: np.float16}
    flat = raw.view(stored[kind]) if kind in stored else dequantize(raw, kind)
    return flat.astype(np.float32).reshape(tensor.shape[::-1])


def type_name(number: int) -> str:
    """Return ggml's name of a tensor type."""
    from gguf import GGMLQuantizationType

    try:
        return GGMLQuantizationType(number).name
    except ValueError:
        return f"number {number}"


def write_gguf(
    path: Path,
    architecture: str,
    fields: Mapping[str, str | int | float],
    tensors: Mapping[str, NDArray[np.float32]],
) -> None:
    """Write a GGUF file; the same arguments give the same bytes.

    Args:
        path: where to.
        architecture: the field ``general.architecture``.
        fields: further ones, in order; a float is written in 32 bits.
        tensors: float32, in order, sizes in numpy's order.
    """
    from gguf import GGUFWriter

    writer = GGUFWriter(path, architecture)
    for name, value in fields.items():
        if isinstance(value, str):
            writer.add_string(name, value)
        elif isinstance(value, int):
            writer.add_uint32(name, value)
        else:
            writer.add_float32(name, value)
    for name, array in tensors.items():
        writer.add_tensor(name, np.ascontiguousarray(array, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _copied(raw: Any, size: int) -> Header:
    parser = _parser()
    try:
        fields = {}
        for number in range(parser.gguf_get_n_kv(raw)):
            name = parser.gguf_get_key(raw, number).decode("utf-8", "replace")
            fields[name] = _scalar(raw, number)
        start = parser.gguf_get_data_offset(raw)
        tensors = {}
        for number in range(parser.gguf_get_n_tensors(raw)):
            name = parser.gguf_get_tensor_name(raw, number).decode("utf-8", "replace")
            sizes = list(parser.gguf_get_tensor_ne(raw, number)[:_DIMENSIONS])
            while len(sizes) > 1 and sizes[-1] == 1:
                sizes.pop()
            tensors[name] = Tensor(
                parser.gguf_get_tensor_type(raw, number),
                tuple(sizes),
                start + parser.gguf_get_tensor_offset(raw, number),
                parser.gguf_get_tensor_size(raw, number),
            )
            if tensors[name].offset + tensors[name].size > size:
                raise BrokenFileError("is cut short: the header promises more than the file holds")
    finally:
        parser.gguf_free(raw)
    return Header(fields, tensors)


def _scalar(raw: Any, number: int) -> Scalar | None:
    parser = _parser()
    kind = parser.gguf_get_kv_type(raw, number)
    if kind == _ARRAY:
        return None
    found = getattr(parser, f"gguf_get_val_{_GETTERS[kind][0]}")(raw, number)
    value: Scalar = found.decode("utf-8", "replace") if kind == _STRING else found
    return value


def _in_words(magic: bytes, reason: str) -> str:
    if magic != b"GGUF":
        return "is no GGUF file"
    return f"is a broken GGUF file: {reason or 'no reason given'}"
