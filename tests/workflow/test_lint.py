import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("overlay", ["config/demo.yaml", "config/replay.yaml"])
def test_snakemake_lint_finds_only_that_fetching_needs_the_host(root: Path, overlay: str) -> None:
    """Rules that fetch or ask an endpoint need the network, which no container has."""
    result = subprocess.run(
        [sys.executable, "-m", "snakemake", "--configfile", overlay, "--lint"],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    text = result.stdout + result.stderr
    assert "Traceback" not in text
    found = set()
    for part in re.split(r"(?m)^Lints for ", text)[1:]:
        where = part.split(" (", 1)[0]
        found |= {(where, title) for title in re.findall(r"(?m)^    \* (.+?):?$", part)}
    missing = "Specify a conda environment or container for each rule."
    assert {pair for pair in found if pair[1] != missing} == set()
    assert {where for where, _ in found} <= {
        "rule fetch_weights",
        "rule fetch_suite",
        "rule fetch_run",
        "rule query",
    }
    assert ("rule fetch_weights", missing) in found
