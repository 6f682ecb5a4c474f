"""What a container sees of the host: the repository, the weights and the store, nothing else."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path


def bind_words(
    home: Path, *, writable: Iterable[Path], readable: Iterable[Path]
) -> tuple[str, ...]:
    """Return Apptainer's options for what does not lie below the working directory.

    Snakemake gives the container the working directory; what is elsewhere, or is reached through a
    link to elsewhere, is bound under the path it really has. A folder above the working directory
    would cover it, so that is bound once more, as the last.

    Args:
        home: the working directory.
        writable: folders that jobs write; made when they are not there.
        readable: folders and files that jobs only read; left out when they are not there.
    """
    inside = home.resolve()
    wanted: dict[Path, str] = {}
    for path in readable:
        if path.exists():
            wanted.setdefault(path.resolve(), ":ro")
    for folder in writable:
        folder.mkdir(parents=True, exist_ok=True)
        wanted[folder.resolve()] = ""
    words: list[str] = []
    for path, mode in sorted(wanted.items()):
        if not path.is_relative_to(inside):
            words += ["--bind", f"{path}:{path}{mode}"]
    if any(path in inside.parents for path in wanted):
        words += ["--bind", f"{inside}:{inside}"]
    return tuple(words)


def weight_sources(
    folder: Path, found: Iterable[Path], environment: Mapping[str, str] = os.environ
) -> list[Path]:
    """Return the folders that links in the weights' folder may lead to.

    Args:
        folder: the weights' folder.
        found: files that weights may be taken from; a file that is a link itself counts where it
            leads.
        environment: where the hub's cache is looked up, as the hub's own client does.
    """
    base = environment.get("HF_HOME") or f"{Path.home()}/.cache/huggingface"
    hub = Path(environment.get("HF_HUB_CACHE") or f"{base}/hub")
    linked = [path.resolve().parent for path in folder.glob("*.gguf") if path.is_symlink()]
    return [hub, *linked, *(path.resolve().parent for path in found)]
