"""A model file on disk: one GGUF, or the shards of one, and the digest that names it.

A sharded GGUF (``NAME-00001-of-0000N.gguf``) counts as one weight. Its digest is the SHA-256 of
the lines that ``sha256sum`` would print for its shards in order, under the names
``00001-of-0000N.gguf``: what the files are called before that does not matter. llama.cpp is given
the first shard.
"""

import hashlib
import re
from pathlib import Path

from steerability.support.canonical import sha256_file
from steerability.support.errors import UserError

SHARD = re.compile(r"^(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf$")
MOST_SHARDS = 1000
_MOST_LINKS = 40


def shard_names(name: str) -> list[str]:
    """Return the names of all shards of a weight, in order, or the name alone.

    Args:
        name: a file name, possibly with folders; any shard stands for all of them.

    Raises:
        UserError: the name is of a shard that cannot be, such as the first of none.
    """
    found = SHARD.match(name)
    if found is None:
        return [name]
    number, count = int(found["number"]), int(found["count"])
    if not 1 <= number <= count <= MOST_SHARDS:
        raise UserError(
            f"no weight has a shard {number} of {count}",
            where=name,
            mend=f"name a first shard, -00001-of-0000N.gguf, of {MOST_SHARDS} at most",
        )
    return [f"{found['stem']}-{n:05d}-of-{found['count']}.gguf" for n in range(1, count + 1)]


def load_path(path: Path) -> Path:
    """Return the path to load a weight by: links followed as far as a first shard's name.

    llama.cpp finds the other shards by the first one's name, so ``<sha256>.gguf``, a link to the
    first shard, must not be given to it, nor a nameless blob that a shard's own link points to.

    Raises:
        UserError: the links lead in a circle.
    """
    first = path
    for _ in range(_MOST_LINKS):
        if not path.is_symlink() or SHARD.match(path.name) is not None:
            return path
        path = path.parent / path.readlink()
    raise UserError("a loop of links", where=first, mend="remove it and fetch the weights")


def shard_files(path: Path) -> list[Path]:
    """Return the files a weight consists of, the first shard first.

    Raises:
        UserError: a file is missing; names it.
    """
    first = load_path(path)
    files = [first.with_name(name) for name in shard_names(first.name)]
    for file in files:
        if not file.is_file():
            raise UserError(
                "no such file" if len(files) == 1 else "a shard of the weights is missing",
                where=file if len(files) > 1 else path,
                mend="fetch it first (steerability fetch --weights NAME)",
            )
    return files


def combine(name: str, digests: list[str]) -> str:
    """Return the digest of a weight from the digests of its files.

    Args:
        name: the name of any of its files.
        digests: one SHA-256 (hex) per file, in the order of ``shard_names``.
    """
    if len(digests) == 1 and SHARD.match(name) is None:
        return digests[0]
    labels = [f"{n:05d}-of-{len(digests):05d}.gguf" for n in range(1, len(digests) + 1)]
    lines = "".join(f"{hexa}  {label}\n" for hexa, label in zip(digests, labels, strict=True))
    return hashlib.sha256(lines.encode("ascii")).hexdigest()


def weights_sha256(path: Path) -> str:
    """Return the digest that names a weight: of the file, or over its shards.

    Raises:
        UserError: a file is missing.
    """
    files = shard_files(path)
    return combine(files[0].name, [sha256_file(file) for file in files])


def weights_bytes(path: Path) -> int:
    """Return the size of a weight in bytes, all shards together.

    Raises:
        UserError: a file is missing.
    """
    return sum(file.stat().st_size for file in shard_files(path))
