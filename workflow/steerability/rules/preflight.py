"""Checks before anything runs: what would fail late fails now, with one line.

Nothing here builds or installs: the lines say which command does.
"""

import re
import shutil
import subprocess
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from steerability.support.canonical import sha256_file
from steerability.support.console import note
from steerability.support.errors import UserError
from steerability.support.image import recorded_digest
from steerability.support.store import Store

APPTAINER_MIN = (1, 2, 0)
SINGULARITY_MIN = (3, 11, 0)
GPU_DEVICES = ("dev/nvidiactl", "dev/dxg")


def check_apptainer() -> str:
    """Return the version line of the container engine that Snakemake will call.

    Raises:
        UserError: there is none, it does not start, or it is too old.
    """
    name = next((name for name in ("apptainer", "singularity") if shutil.which(name)), None)
    if name is None:
        raise UserError(
            "no Apptainer on this host", mend="install it: containers/install-apptainer.sh"
        )
    try:
        done = subprocess.run(
            [name, "--version"], capture_output=True, text=True, errors="replace", check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise UserError("does not start", where=shutil.which(name), mend=str(error)) from error
    line = done.stdout.strip()
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", line)
    least = APPTAINER_MIN if "apptainer" in line else SINGULARITY_MIN
    if found is None or tuple(int(part) for part in found.groups()) < least:
        raise UserError(
            f"too old: {line or 'no version'}, at least {'.'.join(map(str, least))} is needed",
            where=shutil.which(name),
            mend="upgrade it, or remove it and run containers/install-apptainer.sh",
        )
    return line


def check_image(image: Path) -> str:
    """Return the SHA-256 of an image that is the one recorded when it was built.

    Raises:
        UserError: the image or its record is missing, they differ, or Snakemake cannot take it.
    """
    if " " in str(image):
        raise UserError(
            "Snakemake takes no image whose path has a blank",
            where=image,
            mend="run inside the repository's folder, or move it",
        )
    target = "container-cuda" if "cuda" in image.name else "containers"
    if not image.is_file():
        raise UserError("no such image", where=image, mend=f"build it: make {target}")
    recorded = recorded_digest(image)
    if recorded is None:
        raise UserError(
            f"no digest recorded in {image.name}.sha256", where=image, mend=f"make {target}"
        )
    actual = sha256_file(image)
    if actual != recorded:
        raise UserError(
            f"not the recorded image: SHA-256 {actual}, recorded {recorded}",
            where=image,
            mend=f"remove it and build it anew: make {target}",
        )
    return actual


def check_gpu(root: Path = Path("/")) -> None:
    """Check that the host has an NVIDIA GPU with its driver.

    Args:
        root: where the host's ``dev`` is.

    Raises:
        UserError: it has none.
    """
    if not any((root / device).exists() for device in GPU_DEVICES):
        raise UserError(
            "the gpu profile needs an NVIDIA GPU and its driver, and this host has none",
            mend="run it on a host that has one, or leave out --profile workflow/profiles/gpu",
        )


def unused_gpu(root: Path = Path("/")) -> str:
    """Return a line for a host whose card the engine outside containers cannot use; else empty.

    Args:
        root: where the host's ``dev`` is.
    """
    found = find_spec("llama_cpp")
    folders = [Path(folder) for folder in (found.submodule_search_locations or ())] if found else []
    if any(list((folder / "lib").glob("libggml-cuda*")) for folder in folders):
        return ""
    if not any((root / device).exists() for device in GPU_DEVICES):
        return ""
    return (
        "this host has an NVIDIA GPU and this run computes on the CPU; to use it: make "
        "container-cuda, then snakemake --use-apptainer --workflow-profile workflow/profiles/gpu"
    )


def preflight(*, images: Iterable[Path], store: Path, gpu: bool) -> dict[str, str]:
    """Check what a run needs from its host.

    Args:
        images: the images that its rules name; none where no containers are used.
        store: the folder of the objects.
        gpu: whether jobs on this host are to have a GPU.

    Returns:
        Image path → SHA-256.

    Raises:
        UserError: one line, the first thing that would fail. A store that holds objects and cannot
            be written is no fault yet: it is said, and a job that must write to it fails.
    """
    images = sorted(set(images))
    if images:
        check_apptainer()
    if gpu:
        check_gpu()
    digests = {str(image): check_image(image) for image in images}
    try:
        Store(store).check_writable()
    except UserError as error:
        if not Store(store).holds_objects():
            raise
        note(f"{error}; only what it holds already can be used")
    return digests
