"""A run in other tools' hands: Inspect's own reader and the RO-Crate validator."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from steerability.cli import run as call
from support.fake_run import make_run

pytestmark = pytest.mark.heavy

READ = """
import json, sys
from pathlib import Path
from inspect_ai.log import read_eval_log

for path in sorted(Path(sys.argv[1]).glob("*.eval")):
    log = read_eval_log(path)
    score = log.results.scores[0]
    print(json.dumps({
        "status": log.status,
        "model": log.eval.model,
        "digest": log.eval.metadata["digest"],
        "judge": score.name,
        "delta": score.metrics["delta_convergence"].value,
        "samples": [
            {
                "id": sample.id,
                "roles": [message.role for message in sample.messages],
                "completion": sample.output.completion,
                "stop": sample.output.stop_reason,
                "tokens": sample.output.usage.output_tokens,
                "reasoning": [
                    part.reasoning
                    for part in sample.messages[-1].content
                    if getattr(part, "type", "") == "reasoning"
                ],
                "scores": {name: score.value for name, score in sample.scores.items()},
                "notes": {name: score.metadata["note"] for name, score in sample.scores.items()},
            }
            for sample in log.samples
        ],
    }))
"""


@pytest.fixture(scope="module")
def tools(root: Path) -> Path:
    """The environment of ``envs/export.txt``."""
    found = root / ".venv-export" / "bin"
    if not found.is_dir() and not os.environ.get("CI"):
        pytest.skip("no .venv-export: make .venv-export/complete")
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make_run(
        tmp_path_factory.mktemp("export") / "made", models=3, scenarios=6, thinking_words=20
    )
    assert call(["page", str(made)]) == 0
    assert call(["publish", str(made)]) == 0
    return made


def run(*words: object, root: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(word) for word in words],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root / "workflow")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_inspect_reads_every_cell_label_and_thinking(
    tools: Path, folder: Path, root: Path, tmp_path: Path
) -> None:
    python, logs = tools / "python", tmp_path / "logs"
    export = [python, "-m", "steerability", "export", folder, "--inspect", logs]
    run(*export, "--note", "doubtful=measures nothing", root=root)
    read = [
        json.loads(line) for line in run(python, "-c", READ, logs, root=root).stdout.splitlines()
    ]
    manifest = json.loads((folder / "manifest.json").read_text())
    with (folder / "table1.csv").open(encoding="utf-8", newline="") as file:
        table = {row["model"]: row for row in csv.DictReader(file)}
    assert sorted(log["model"].removeprefix("steerability/") for log in read) == sorted(table)
    for log in read:
        name = log["model"].removeprefix("steerability/")
        assert (log["status"], log["digest"]) == ("success", manifest["digest"])
        assert (log["judge"], log["delta"]) == ("strict", float(table[name]["delta"]))
        with (folder / "responses" / "behaviour" / f"{name}.jsonl").open(encoding="utf-8") as lines:
            cells = {f"{c['intervention']}/{c['scenario']}": c for c in map(json.loads, lines)}
        labels = {
            path.parent.name: {c["id"]: c["label"] for c in map(json.loads, path.open())}
            for path in folder.glob(f"labels/behaviour/*/{name}.jsonl")
        }
        assert sorted(sample["id"] for sample in log["samples"]) == sorted(cells)
        for sample in log["samples"]:
            cell = cells[sample["id"]]
            assert sample["completion"] == cell["response"]
            sent = [message["role"] for message in cell["sent"]]
            assert sent in (["user"], ["system", "user"])
            assert sample["roles"] == [*sent, "assistant"]
            stop = cell["finish_reason"]
            assert sample["stop"] == {"length": "max_tokens"}.get(stop, stop)
            assert sample["tokens"] == cell["completion_tokens"]
            assert sample["reasoning"] == ([cell["thinking"]] if cell["thinking"] else [])
            assert sample["scores"] == {j: by_id[cell["id"]] for j, by_id in labels.items()}
            assert sample["notes"].get("doubtful", "measures nothing") == "measures nothing"


def test_the_crate_is_valid_at_the_required_level(
    tools: Path, folder: Path, root: Path, tmp_path: Path
) -> None:
    crate, cache, report = tmp_path / "crate", tmp_path / "cache", tmp_path / "report.json"
    python = tools / "python"
    run(python, "-m", "steerability", "export", folder, "--ro-crate", crate, root=root)
    run(python, root / "tests" / "support" / "crate_context.py", cache, root=root)
    validate = [tools / "rocrate-validator", "--no-interactive", "validate", crate]
    validate += ["--profile-identifier", "workflow-run-crate", "--requirement-severity", "required"]
    validate += ["--offline", "--cache-path", cache, "--output-format", "json"]
    run(*validate, "--output-file", report, root=root)
    found = json.loads(report.read_text())
    assert found["passed"] is True and found["issues"] == []


def test_the_crate_says_what_was_run_on_what_giving_what(
    folder: Path, root: Path, tmp_path: Path
) -> None:
    crate = tmp_path / "crate"
    run(sys.executable, "-m", "steerability", "export", folder, "--ro-crate", crate, root=root)
    metadata = json.loads((crate / "ro-crate-metadata.json").read_text(encoding="utf-8"))
    graph = {entity["@id"]: entity for entity in metadata["@graph"]}
    action, workflow = graph["#run"], graph["Snakefile"]
    assert action["instrument"] == {"@id": "Snakefile"}
    manifest = json.loads((folder / "manifest.json").read_text())
    given = {entity["@id"] for entity in action["object"]}
    made = {entity["@id"] for entity in action["result"]}
    assert {"suites/made.json", "interventions.jsonl", "#setting-models"} <= given
    assert made | given >= set(manifest["files"])
    for name, digest in manifest["files"].items():
        assert graph[name]["sha256"] == digest
        assert (crate / name).read_bytes() == (folder / name).read_bytes()
    slots = {entity["@id"] for entity in (*workflow["input"], *workflow["output"])}
    assert slots == {graph[i]["exampleOfWork"]["@id"] for i in given | made}
    assert json.loads(graph["#setting-models"]["value"]) == [
        "tiny-base",
        "tiny-instruct",
        "tiny-thinking",
    ]
    assert graph["./"]["license"] == {"@id": "#no-licence"}
    carried = {entity["@id"] for entity in workflow["hasPart"]}
    assert {"config/demo.yaml", "workflow/steerability/cli.py", "envs/dev.txt"} <= carried


def test_what_the_crate_carries_is_a_workflow_that_runs(
    folder: Path, root: Path, tmp_path: Path
) -> None:
    crate = tmp_path / "crate"
    run(sys.executable, "-m", "steerability", "export", folder, "--ro-crate", crate, root=root)
    dry = [sys.executable, "-m", "snakemake", "-n", "--snakefile", crate / "Snakefile"]
    dry += ["--configfile", crate / "config" / "demo.yaml", "--directory", tmp_path / "work"]
    said = run(*dry, root=crate)
    assert "generate" in said.stdout + said.stderr
