"""Weights from a Hugging Face hub, by huggingface_hub's own client.

The hub is asked for the commit, the sizes and the SHA-256 of the files before the first byte; the
files come over HTTP into ``<sha256>.part``, which a later start goes on with (the client's own
``hf_hub_download`` would start anew). ``HF_ENDPOINT``, ``HF_TOKEN`` (or a login), ``HF_HOME`` and
``HF_HUB_OFFLINE`` work as they do everywhere. The token goes to the hub only: the client drops it
when the hub redirects to a storage host.
"""

import difflib
import glob
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from steerability.fetch.pins import MOST_BYTES, WeightPin
from steerability.fetch.transfer import Say, check_room, explained, persist, together, transfer
from steerability.loading.weight_file import combine, shard_names
from steerability.support.address import check_address
from steerability.support.canonical import sha256_file
from steerability.support.errors import UserError

_TIMEOUT = 30.0
_COMMIT = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,99}")
_HEX = re.compile(r"[0-9a-f]{64}")


class HubFile(NamedTuple):
    """One file of a repository: its name there, its size in bytes, its SHA-256."""

    name: str
    size: int
    sha256: str


class HubState(NamedTuple):
    """What the hub says of a weight: the commit, and its files in the order of the shards."""

    commit: str
    files: list[HubFile]

    @property
    def sha256(self) -> str:
        """The digest of the weight (``steerability.loading.weight_file``)."""
        return combine(self.files[0].name, [file.sha256 for file in self.files])

    @property
    def size(self) -> int:
        """The size of all files together, in bytes."""
        return sum(file.size for file in self.files)


def ask(pin: WeightPin) -> HubState:
    """Ask the hub for the commit, the sizes and the digests of a weight.

    Args:
        pin: a ``hub`` pin; without a revision the repository's main branch is asked.

    Raises:
        UserError: the hub refuses, or does not have the file.
        OSError: the hub cannot be reached or is failing.
    """
    from huggingface_hub import HfApi

    api = HfApi(endpoint=endpoint())
    with _explained(pin):
        info = persist(
            lambda: api.model_info(
                pin.repository, revision=pin.revision, files_metadata=True, timeout=_TIMEOUT
            )
        )
    if not isinstance(info.sha, str) or not _COMMIT.fullmatch(info.sha):
        raise _no_hub(pin, f"the commit {info.sha!r}")
    there = {sibling.rfilename: sibling for sibling in info.siblings or ()}
    files = []
    for name in shard_names(pin.file):
        sibling = there.get(name)
        if sibling is None:
            ggufs = [other for other in there if other.endswith(".gguf")]
            near = difflib.get_close_matches(name, ggufs, n=3, cutoff=0.0)
            raise UserError(
                f"{pin.repository} has no file {name}",
                where=pin.name,
                mend=f"correct the file's name; there is {', '.join(near)}" if near else "",
            )
        if sibling.lfs is None:
            raise UserError(
                f"the hub gives no SHA-256 for {name} of {pin.repository}",
                where=pin.name,
                mend="use a repository that keeps its weights in large-file storage",
            )
        files.append(_checked(pin, name, sibling.lfs.size, sibling.lfs.sha256))
    return HubState(info.sha, files)


def _checked(pin: WeightPin, name: str, size: object, sha256: object) -> HubFile:
    """Return what the hub says of a file, if it can be so; the digest in small letters."""
    if type(size) is not int or not 0 < size <= MOST_BYTES:
        raise _no_hub(pin, f"the size {size!r} of {name}")
    if not isinstance(sha256, str) or not _HEX.fullmatch(sha256.lower()):
        raise _no_hub(pin, f"the SHA-256 {sha256!r} of {name}")
    return HubFile(name, size, sha256.lower())


def _no_hub(pin: WeightPin, said: str) -> UserError:
    return UserError(
        f"the hub's answer cannot be right: {said[:200]}",
        where=pin.name,
        mend="nothing was written; check HF_ENDPOINT, and what stands between here and the hub",
    )


def download(pin: WeightPin, state: HubState, folder: Path, say: Say) -> Path:
    """Fetch the files of a weight, several at once, each checked against the hub's digest.

    Args:
        pin: a ``hub`` pin.
        state: what the hub said of it.
        folder: where the files are put, under their names without folders; ``<sha256>.part``
            files lie there while they are fetched.
        say: gets one line per file, and one every half minute.

    Returns:
        The (first) file.

    Raises:
        UserError: the hub refuses.
        OSError: no room on the disk, a network that fails, or bytes that are not what the hub
            announced.
    """
    targets = {folder / Path(file.name).name: file for file in state.files}
    missing = {target: file for target, file in targets.items() if not _is(target, file)}
    needed = sum(file.size - _size(_part(target, file)) for target, file in missing.items())
    check_room(needed, folder, pin.name)
    together([partial(_one, pin, state, file, target, say) for target, file in missing.items()])
    return next(iter(targets))


def cached(pin: WeightPin) -> Iterator[Path]:
    """Yield the files of the hub's own cache that may be this weight."""
    from huggingface_hub import constants

    repository = Path(constants.HF_HUB_CACHE) / f"models--{pin.repository.replace('/', '--')}"
    pattern = f"snapshots/*/{glob.escape(pin.file)}"
    yield from sorted(path for path in repository.glob(pattern) if path.is_file())


def endpoint() -> str | None:
    """Return the hub's address from ``HF_ENDPOINT``, or None for the client's own.

    Raises:
        UserError: it is no address.
    """
    address = os.environ.get("HF_ENDPOINT", "").rstrip("/")
    try:
        return check_address(address) if address else None
    except ValueError as error:
        raise UserError(str(error), where="HF_ENDPOINT") from error


def _one(pin: WeightPin, state: HubState, file: HubFile, target: Path, say: Say) -> None:
    from huggingface_hub import constants, hf_hub_download, hf_hub_url
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    part = _part(target, file)
    have = _size(part)
    on = f", going on at {have:,}" if have else ""
    say(f"{pin.name}: {file.name}, {file.size:,} bytes from {pin.repository}{on}")
    with _explained(pin):
        if file.size > constants.MAX_HTTP_DOWNLOAD_SIZE:
            # the hub gives files of this size by its chunk protocol only
            large = target.parent / "large"
            given = hf_hub_download(
                pin.repository,
                file.name,
                revision=state.commit,
                local_dir=large,
                endpoint=endpoint(),
            )
            Path(given).replace(part)
        else:
            transfer(
                hf_hub_url(pin.repository, file.name, revision=state.commit, endpoint=endpoint()),
                part,
                size=file.size,
                label=target.name,
                say=say,
                headers=build_hf_headers(),
            )
    actual = sha256_file(part)
    if actual != file.sha256:
        part.unlink()
        raise OSError(
            f"{pin.name}: the bytes received for {file.name} are not what the hub announced "
            f"(SHA-256 {actual}, announced {file.sha256}); they were dropped, start again"
        )
    part.replace(target)


def _is(target: Path, file: HubFile) -> bool:
    """Say whether a file lies there already; it may be of an earlier pin."""
    return target.exists() and sha256_file(target) == file.sha256


def _part(target: Path, file: HubFile) -> Path:
    return target.with_name(f"{file.sha256}.part")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@contextmanager
def _explained(pin: WeightPin) -> Iterator[None]:
    from huggingface_hub.errors import OfflineModeIsEnabled

    try:
        with explained(pin.name, partial(_refusal, pin)):
            yield
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # the client reads an answer of another form, such as a portal's HTML, by one of these
        raise _no_hub(pin, f"it is not what a hub says ({type(error).__name__})") from error
    except OfflineModeIsEnabled:
        raise UserError(
            "not on this machine, and HF_HUB_OFFLINE forbids fetching it",
            where=pin.name,
            mend="unset HF_HUB_OFFLINE, or name a folder that holds the file",
        ) from None


def _refusal(pin: WeightPin, status: int, code: str) -> UserError | None:
    repository = pin.repository
    if code == "GatedRepo":
        return UserError(
            f"{repository} is gated: its owners want their terms accepted (status {status})",
            where=pin.name,
            mend="accept them on the repository's page and set HF_TOKEN to a token of that account",
        )
    if status == 401:
        return UserError(
            f"the hub does not know {repository}, or wants a valid token for it (status 401)",
            where=pin.name,
            mend="check the repository's name, and HF_TOKEN",
        )
    if status == 403:
        return UserError(
            f"the token may not read {repository} (status 403)",
            where=pin.name,
            mend="set HF_TOKEN to a token with read access to it",
        )
    if status == 404:
        revision = f" at {pin.revision}" if pin.revision else ""
        return UserError(
            f"the hub has no {repository}{revision} with {pin.file} (status 404)",
            where=pin.name,
            mend="correct repository, revision or file in the weights table",
        )
    return None
