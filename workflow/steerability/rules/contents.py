"""Digests of the files that a config names, for the ``params`` of the rules that read them.

Snakemake compares inputs by their times. A file that was replaced by one with an old time
(``cp -p``, ``rsync -a``, ``tar x``, ``mv``) is new all the same: its digest says so.
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from steerability.config.model import Config
from steerability.inputs.files import named_files
from steerability.support.canonical import digest, sha256_file
from steerability.support.errors import UserError


def digest_of_contents(paths: Iterable[Path | str]) -> str:
    """Return one SHA-256 over the contents of files, in their order; empty where there are none.

    Args:
        paths: files, relative to the working folder or absolute. A missing one counts as such;
            the rule that needs it says so.

    Raises:
        UserError: one of them is there and cannot be read.
    """
    digests = [_digest(Path(path)) for path in paths]
    return digest(digests) if digests else ""


def input_digests(config: Config, home: Path) -> dict[str, str]:
    """Return path → SHA-256 of every file that a run's config names and that is there.

    Args:
        config: the run.
        home: the repository, which the config's own files are relative to.

    Raises:
        UserError: one of them is there and cannot be read.
    """
    tables = [home / config.sources.published, home / config.sources.suffixes]
    digests = {str(path): _digest(path) for path in {*named_files(config, home), *tables}}
    return {path: digests[path] for path in sorted(digests) if digests[path]}


@cache
def _digest(path: Path) -> str:
    try:
        return sha256_file(path)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=path) from error
