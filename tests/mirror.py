"""The optional mirror of the published files: ``STEERABILITY_MIRROR`` or ``../shared/upstream``."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
MIRROR = Path(os.environ.get("STEERABILITY_MIRROR") or REPOSITORY.parent / "shared" / "upstream")
NEEDS_MIRROR = pytest.mark.skipif(
    not (MIRROR / "benchmark").is_dir(),
    reason="no mirror of the published files; the same paths are tested with files of our own",
)
