"""Which image this process runs in."""

import os
from collections.abc import Mapping
from pathlib import Path

MADE_IN = "made in "
_HOST = "no image"
_VARIABLES = ("APPTAINER_CONTAINER", "SINGULARITY_CONTAINER")


def recorded_digest(image: Path) -> str | None:
    """Return the SHA-256 that ``IMAGE.sha256``, written at the build, records; None without."""
    try:
        words = image.with_name(f"{image.name}.sha256").read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError):
        return None
    return words[0] if words and len(words[0]) == 64 else None


def current_image(environment: Mapping[str, str] = os.environ) -> str | None:
    """Describe the image that this process runs in: its name and digest; None outside one."""
    path = next((environment[name] for name in _VARIABLES if environment.get(name)), None)
    if path is None:
        return None
    digest = recorded_digest(Path(path))
    return f"{Path(path).name} sha256:{digest}" if digest else Path(path).name


def made_in(environment: Mapping[str, str] = os.environ) -> str:
    """Return the line that opens every job's log: the image that the job runs in."""
    return f"{MADE_IN}{current_image(environment) or _HOST}"


def images_of(logs: Path) -> dict[str, list[str]]:
    """Read from the logs of a run which image made each stage.

    A stage that was made in parts, by different images, has them all.

    Args:
        logs: the run's folder of logs, a file or a folder for each stage.
    """
    found: dict[str, set[str]] = {}
    for path in sorted(logs.rglob("*.log")):
        stage = path.relative_to(logs).with_suffix("").parts[0]
        with path.open(encoding="utf-8", errors="replace") as file:
            line = file.readline().strip()
        if line.startswith(MADE_IN):
            found.setdefault(stage, set()).add(line.removeprefix(MADE_IN))
    return {stage: sorted(images) for stage, images in found.items()}
