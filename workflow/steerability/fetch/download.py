"""Getting a source of the sources table: from a mirror, or from its pinned URL.

A file gets its place by rename, and only when its digest is the pinned one; until then it is a
``.part`` file that a later start goes on with. A file that is in its place already is looked at
again, and one that was altered is fetched anew.
"""

import hashlib
import posixpath
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import httpx

from steerability.fetch.sources import MAX_BYTES, Source, SourceFolder, fault
from steerability.fetch.transfer import Say, together
from steerability.support.canonical import sha256_file
from steerability.support.errors import UserError
from steerability.support.files import write_atomic
from steerability.support.retry import PASSING, PassingError, patiently, retry_after

ATTEMPTS = 6
WAIT_SECONDS = 0.5
LONGEST_WAIT = 60.0
TIMEOUT_SECONDS = 30.0
_WHAT_IT_NEEDS = "give a mirror (--mirror DIR, make replay MIRROR=DIR), or a network that reaches"


def from_mirror(source: Source, mirror: Path) -> bytes:
    """Return a source's bytes from a mirror in the layout of the pinned repositories.

    Args:
        source: what is wanted.
        mirror: the folder that holds ``source.path``.

    Raises:
        UserError: the mirror lacks the file, holds another one, or leads out of itself.
    """
    path = mirror / source.path
    if not path.is_file():
        raise UserError(
            "not in the mirror",
            where=path,
            mend="add it, or leave the mirror out to fetch from the pinned URL",
        )
    if not path.resolve().is_relative_to(mirror.resolve()):
        raise UserError(
            "a link that leads out of the mirror",
            where=path,
            mend="put the file itself in its place",
        )
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if wrong := fault(source, hashlib.sha256(content).hexdigest(), len(content)):
        raise UserError(wrong, where=path, mend="put the published file back into the mirror")
    return content


def obtain_source(
    source: Source, target: Path, *, mirror: Path | None, base_url: str, say: Say
) -> bool:
    """Put a source in its place unless it is there; with a mirror, check the mirror's file too.

    Args:
        source: what is wanted.
        target: its place.
        mirror: where to take it from; None for its URL.
        base_url: of the server of raw files.
        say: gets a line for whatever is out of the ordinary.

    Returns:
        Whether the file was fetched now.

    Raises:
        UserError: the file cannot be had there, or is not the pinned one.
        OSError: the network or the server keeps failing, or the disk is full.
    """
    content = None if mirror is None else from_mirror(source, mirror)
    if target.is_file():
        wrong = fault(source, sha256_file(target), target.stat().st_size)
        if not wrong:
            return False
        say(f"{target}: {wrong}; fetching it again")
    if content is None:
        content = _download(source, target, base_url, say)
    write_atomic(target, content, follow=False)
    target.with_name(f".{target.name}.part").unlink(missing_ok=True)
    return True


def fetch_sources(
    table: SourceFolder,
    wanted: Sequence[Source],
    mirror: Path | None,
    base_url: str,
    say: Say,
    *,
    lenient: bool = False,
) -> list[Source]:
    """Put sources in their places, several at once, and say how many were fetched.

    Args:
        table: the sources table and the folder that they are put in.
        wanted: what to fetch.
        mirror: where to take them from; None for their URLs.
        base_url: of the server of raw files.
        say: gets a line for whatever is out of the ordinary, and one at the end.
        lenient: leave out, and name, what the mirror lacks.

    Returns:
        The sources that are in their places now.

    Raises:
        UserError: the mirror is no folder or lacks everything, or as ``obtain_source``.
        OSError: as ``obtain_source``.
    """
    if mirror is not None and not mirror.is_dir():
        raise UserError("no such folder", where=mirror, mend="correct the path of the mirror")
    present = list(wanted)
    if mirror is not None and lenient:
        present = [source for source in wanted if (mirror / source.path).is_file()]
        if not present:
            raise UserError(
                "holds none of the pinned files",
                where=mirror,
                mend=f"the mirror has their paths as {table.table} lists them",
            )
    fetched: list[bool] = []

    def one(source: Source) -> None:
        target = table.path(source.name)
        fetched.append(obtain_source(source, target, mirror=mirror, base_url=base_url, say=say))

    together([partial(one, source) for source in present])
    if absent := sorted({posixpath.dirname(one.name) for one in wanted if one not in present}):
        say(f"not (wholly) in the mirror, left out: {', '.join(absent)}")
    say(f"{len(present)} files as pinned in {table.folder}, {sum(fetched)} fetched now")
    return present


def _download(source: Source, target: Path, base_url: str, say: Say) -> bytes:
    part = target.with_name(f".{target.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    url = source.url(base_url)
    resumed = part.exists() and part.stat().st_size > 0
    content = _patiently(source, url, part, say)
    wrong = fault(source, hashlib.sha256(content).hexdigest(), len(content))
    if wrong and resumed:
        # what lay there may have been of another file
        say(f"{source.name}: what was kept of an earlier start does not fit; fetching it whole")
        part.unlink()
        content = _patiently(source, url, part, say)
        wrong = fault(source, hashlib.sha256(content).hexdigest(), len(content))
    if wrong:
        part.unlink()
        raise UserError(
            wrong,
            where=f"{source.name} at {url}",
            mend="nothing was kept; fetch it through another network or from a mirror",
        )
    return content


def _patiently(source: Source, url: str, part: Path, say: Say) -> bytes:
    """Fetch with retries, growing waits, and the waits that the server asks for."""

    def tell(error: PassingError, pause: float) -> None:
        if not error.quiet:
            say(f"{source.name}: {error}; again in {pause:.0f} s")

    try:
        patiently(
            partial(_receive, source, url, part),
            attempts=ATTEMPTS,
            first=WAIT_SECONDS,
            longest=LONGEST_WAIT,
            tell=tell,
        )
    except PassingError as error:
        raise OSError(
            f"{source.name}: {error} after {ATTEMPTS} attempts; {_WHAT_IT_NEEDS} "
            f"{httpx.URL(url).host}"
        ) from None
    return part.read_bytes()


def _receive(source: Source, url: str, part: Path) -> None:
    """Receive what is missing of a file into ``part``.

    Raises:
        PassingError: the connection broke or the server fails in passing; what came is kept.
        UserError: the server does not have the file, or sends far too much.
    """
    have = part.stat().st_size if part.exists() else 0
    if have >= source.bytes:
        part.unlink()
        have = 0
    # as it is: a compressed transfer could not be gone on with
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with (
            httpx.Client(follow_redirects=True, timeout=TIMEOUT_SECONDS) as client,
            client.stream("GET", url, headers=headers) as response,
        ):
            if response.status_code == 416:
                part.unlink(missing_ok=True)
                raise PassingError("what was kept of it does not fit")
            _judge_status(source, url, response)
            goes_on = response.status_code == 206 and _begins_at(response) == have
            if response.status_code == 206 and not goes_on:
                part.unlink(missing_ok=True)
                raise PassingError("the server sent another part than the one asked for")
            with part.open("ab" if goes_on else "wb") as file:
                received = have if goes_on else 0
                for block in response.iter_raw():
                    received += len(block)
                    if received > MAX_BYTES:
                        raise UserError(
                            f"sends more than {MAX_BYTES:,} bytes (pinned {source.bytes:,})",
                            where=f"{source.name} at {url}",
                            mend="fetch it through another network or from a mirror",
                        )
                    file.write(block)
            if received < source.bytes and "Content-Length" not in response.headers:
                raise PassingError("the connection ended early")
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
        raise UserError(
            f"cannot be fetched: {error}", where=url, mend="correct sources.base_url"
        ) from None
    except httpx.TransportError as error:
        quiet = isinstance(error, httpx.ConnectError)
        raise PassingError(f"the connection failed ({type(error).__name__})", quiet=quiet) from None
    except UserError:
        part.unlink(missing_ok=True)
        raise


def _judge_status(source: Source, url: str, response: httpx.Response) -> None:
    status = response.status_code
    if status in (200, 206):
        return
    if status in PASSING:
        wait = retry_after(response.headers.get("Retry-After", ""))
        raise PassingError(f"the server answers {status}", wait)
    what = "is not there" if status in (404, 410) else "is refused"
    raise UserError(
        f"{what} (status {status})",
        where=f"{source.name} at {url}",
        mend=f"the pinned commit may be gone; {_WHAT_IT_NEEDS} it",
    )


def _begins_at(response: httpx.Response) -> int:
    """Return the offset that a partial answer says it begins at, -1 where it says none."""
    unit, _, span = response.headers.get("Content-Range", "").partition(" ")
    first = span.partition("-")[0]
    return int(first) if unit == "bytes" and first.isdigit() else -1
