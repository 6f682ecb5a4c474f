import json
import subprocess
from pathlib import Path

import pytest

from conftest import Run
from steerability.publish.manifest import build_manifest, differences, digest_of, stage_of
from steerability.support.canonical import sha256_text
from steerability.support.errors import UserError


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "demo"
    for name in (
        "responses/behaviour/m.jsonl",
        "choices/forced/m.jsonl",
        "labels/behaviour/rules/m.jsonl",
        "cells.csv",
        "table1.csv",
        "table1.md",
        "figures/gap.svg",
        "logs/x.log",
        "facts/generate/m-000.json",
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}" if name.endswith(".json") else name)
    return folder


def test_the_digest_is_that_of_sha256sum(run: Path) -> None:
    manifest = build_manifest("demo", run)
    names = sorted(manifest.files)
    lines = subprocess.run(["sha256sum", *names], cwd=run, capture_output=True, check=True).stdout
    whole = subprocess.run(["sha256sum"], input=lines, capture_output=True, check=True).stdout
    assert manifest.digest == whole.decode().split()[0]


def test_files_are_digested_by_stage_and_facts_by_none(run: Path) -> None:
    manifest = build_manifest("demo", run)
    assert set(manifest.stages) == {"responses", "labels", "cells", "tables", "figures"}
    assert manifest.stages["cells"] == digest_of({"cells.csv": manifest.files["cells.csv"]})
    assert not [name for name in manifest.files if name.startswith(("logs", "facts"))]
    before = manifest.digest
    (run / "logs" / "x.log").write_text("other")
    (run / "facts" / "generate" / "m-000.json").write_text('{"width": 3}')
    after = build_manifest("demo", run)
    assert after.digest == before
    assert after.facts["jobs"] == {"generate/m-000": {"width": 3}}


def test_a_file_that_no_stage_made_is_an_error(run: Path) -> None:
    (run / "stray.txt").write_text("")
    with pytest.raises(UserError, match="no stage made"):
        build_manifest("demo", run)


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("responses/behaviour/m.jsonl", "responses"),
        ("choices/forced/m.jsonl", "responses"),
        ("suites/builtin.json", "responses"),
        ("interventions.jsonl", "responses"),
        ("labels/behaviour/rules/m.jsonl", "labels"),
        ("study.json", "cells"),
        ("choices.csv", "cells"),
        ("planned/m.jsonl", None),
        ("requests/m/000.jsonl", None),
        ("outputs/m/000.jsonl", None),
        ("tests.csv", "tables"),
        ("figures/a.png", "figures"),
        ("index.html", "pages"),
        ("benchmarks/generate/m.tsv", None),
        ("distilled/distilled.json", None),
        ("training/responses/m.jsonl", None),
        (".snakemake_timestamp", None),
        ("figures/.snakemake_timestamp", None),
    ],
)
def test_stage_of(name: str, stage: str | None) -> None:
    assert stage_of(name) == stage


def test_differences_name_the_file(run: Path) -> None:
    files = build_manifest("demo", run).files
    (run / "cells.csv").write_text("changed")
    (run / "table1.md").unlink()
    (run / "extra.csv").write_text("")
    said = list(differences(files, build_manifest("demo", run).files))
    assert [line.split(" ")[0] for line in said] == ["cells.csv", "extra.csv", "table1.md"]


def test_recorded_digests_are_the_expected_ones(
    run: Path, steerability: Run, tmp_path: Path
) -> None:
    expected = tmp_path / "expected.json"
    assert steerability("publish", run).returncode == 0
    words = ("verify", run, "--sample", "0")
    assert steerability(*words, "--record", expected).returncode == 0
    assert steerability(*words, "--expected", expected).returncode == 0
    (run / "cells.csv").write_text("other")
    assert steerability(*words, "--record", expected).returncode == 1
    assert steerability("publish", run).returncode == 0
    other = steerability(*words, "--expected", expected)
    assert other.returncode == 1
    assert "differs since stage cells" in other.stderr


def test_verify_compares_the_files_that_the_config_named(
    run: Path, tmp_path: Path, steerability: Run
) -> None:
    text = tmp_path / "pro.txt"
    text.write_text("one")
    named = {str(text): sha256_text("one"), "not/here.txt": "0" * 64}
    words = ("publish", run, "--inputs", json.dumps(named))
    assert steerability(*words).returncode == 0
    before = json.loads((run / "manifest.json").read_text())
    assert before["inputs"] == named
    good = steerability("verify", run, "--sample", 0)
    assert good.returncode == 0, good.stderr
    assert "1 files that the config names are those of the run" in good.stdout
    assert "not here to be compared: not/here.txt" in good.stdout
    text.write_text("two")
    bad = steerability("verify", run, "--sample", 0)
    assert bad.returncode == 1
    assert f"{text} changed" in bad.stderr
    # published with the digests that the rules read, it is told too
    late = steerability(*words)
    assert late.returncode == 2
    assert "it changed during the run" in late.stderr and len(late.stderr.splitlines()) == 1
    # what the config named lies outside the run's digest
    assert before["digest"] == build_manifest("demo", run).digest
