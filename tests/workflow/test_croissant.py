"""The suite in other tools' hands: mlcroissant validates its description and reads its rows."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from steerability.suites.load import load_suite

pytestmark = pytest.mark.heavy

READ = """
import json, sys
import mlcroissant

found = mlcroissant.Dataset(sys.argv[1])
text = lambda value: value.decode() if isinstance(value, bytes) else value
rows = [
    {name.split("/")[1]: text(value) for name, value in row.items()}
    for row in found.records("scenarios")
]
metadata = found.metadata
print(json.dumps({
    "version": metadata.ctx.conforms_to.value,
    "warnings": sorted(metadata.ctx.issues.warnings),
    "limits": metadata.data_limitations,
    "rows": rows,
}))
"""


@pytest.fixture(scope="module")
def tools(root: Path) -> Path:
    """The environment of ``envs/croissant.txt``."""
    found = root / ".venv-croissant" / "bin"
    if not found.is_dir() and not os.environ.get("CI"):
        pytest.skip("no .venv-croissant: make .venv-croissant/complete")
    return found


def test_the_description_is_valid_and_its_rows_can_be_read(tools: Path, root: Path) -> None:
    folder = root / "workflow" / "suites" / "builtin"
    described = folder / "croissant.json"
    validate = [tools / "mlcroissant", "validate", "--jsonld", described]
    read = [tools / "python", "-c", READ, described]
    for command in (validate, read):
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["version"] == "http://mlcommons.org/croissant/1.1"
    assert found["warnings"] == []
    assert found["limits"][0].startswith("No second human reader")
    suite = load_suite(folder / "suite.yaml")
    assert [row["id"] for row in found["rows"]] == [one.id for one in suite.scenarios]
    assert [row["twin_prompt"] for row in found["rows"]] == [
        case.prompt for case in suite.cases("twins")
    ]


def test_a_description_that_lacks_its_rows_is_refused(
    tools: Path, root: Path, tmp_path: Path
) -> None:
    """Else a pass would say nothing."""
    source = root / "workflow" / "suites" / "builtin" / "croissant.json"
    broken = json.loads(source.read_text(encoding="utf-8"))
    del broken["distribution"][1]
    path = tmp_path / "croissant.json"
    path.write_text(json.dumps(broken), encoding="utf-8")
    done = subprocess.run(
        [tools / "mlcroissant", "validate", "--jsonld", path],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1
    assert "scenarios.jsonl" in done.stderr
