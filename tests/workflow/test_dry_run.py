"""``snakemake -n`` on the untouched ``config.yaml``, with neither network nor mirror."""

import os
import re
import subprocess
import sys
from pathlib import Path


def test_a_dry_run_plans_the_six_models_and_says_what_it_would_fetch(
    root: Path, tmp_path: Path
) -> None:
    words = [sys.executable, "-m", "snakemake", "-n", "--snakefile", str(root / "Snakefile")]
    nowhere = "http://127.0.0.1:9"
    done = subprocess.run(
        words,
        cwd=tmp_path,
        env=os.environ
        | {"HF_ENDPOINT": nowhere, "HF_HOME": str(tmp_path / "hf"), "https_proxy": nowhere},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    stats = dict(re.findall(r"(?m)^(\w+) +(\d+)$", said))
    assert {name: stats[name] for name in ("plan", "generate", "fetch_weights", "judge")} == {
        "plan": "6",
        "generate": "6",
        "fetch_weights": "6",
        "judge": "12",
    }
    wanted = [line for line in said.splitlines() if line.startswith("to fetch: ")]
    assert len([line for line in wanted if " weights qwen3-" in line]) == 6
    assert any(re.search(r"\d+ pinned files, [\d,]+ bytes, from https://", line) for line in wanted)
    assert "weights_search" in said and "mirror: DIR" in said
    assert not any((tmp_path / "results").rglob("*.gguf"))
