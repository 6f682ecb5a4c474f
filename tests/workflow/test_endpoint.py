"""An endpoint as the model under test, in the few lines of config that the README shows."""

import csv
import subprocess
import sys
from pathlib import Path

import yaml

from support.chat import serve_chat


def test_an_endpoint_is_a_model_like_any_other(root: Path, tmp_path: Path) -> None:
    with serve_chat() as chat:
        chat.statuses, chat.code = [400], "content_filter"
        remote = {"source": "endpoint", "url": chat.url, "model": "some-model"}
        overlay = {
            "run": "remote",
            "models": ["remote"],
            "judges": ["rules"],
            "catalogue": {"models": {"remote": {**remote, "size": "?", "stage": "Chat"}}},
        }
        (tmp_path / "overlay.yaml").write_text(yaml.safe_dump(overlay))
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(root / "Snakefile")]
        command += ["--cores", "2", "--configfile", str(root / "config.yaml")]
        command += [
            str(root / "config/demo.yaml"),
            "overlay.yaml",
            "--",
            "results/remote/cells.csv",
        ]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    with (tmp_path / "results/remote/cells.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(chat.seen) + 1 > 100
    (filtered,) = (row for row in rows if row["finish_reason"] == "content_filter")
    assert (filtered["label"], filtered["prompt_tokens"]) == ("judge_failed", "")
    rest = [row for row in rows if row is not filtered]
    assert {(row["model"], row["prompt_tokens"]) for row in rest} == {("remote", "7")}
    assert {row["finish_reason"] for row in rest} == {"stop"}
    assert "judge_failed" not in {row["label"] for row in rest}
