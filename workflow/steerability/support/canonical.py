"""Canonical JSON (RFC 8785) and the digests made of it."""

import hashlib
from pathlib import Path
from typing import Any

import rfc8785

_BLOCK = 1 << 20


def canonical_json(value: Any) -> bytes:
    """Return the RFC 8785 form of a JSON value: the same value gives the same bytes.

    Args:
        value: dicts with string keys, lists, strings, finite numbers, booleans and None.

    Raises:
        ValueError: the value has no canonical form (NaN, an integer beyond 2**53, another type).
    """
    return rfc8785.dumps(value)


def digest(value: Any) -> str:
    """Return the SHA-256, in hex, of a JSON value's canonical form."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def sha256_text(text: str) -> str:
    """Return the SHA-256, in hex, of a text's UTF-8 bytes."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the SHA-256, in hex, of a file's bytes, read in blocks of 1 MiB."""
    state = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            state.update(block)
    return state.hexdigest()
