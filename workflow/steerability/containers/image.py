"""Which image this process runs in."""

import os
from collections.abc import Mapping
from pathlib import Path

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
