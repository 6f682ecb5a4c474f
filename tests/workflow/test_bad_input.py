"""Bad input: one line, status 2, and the store untouched."""

import subprocess
from typing import Any

import pytest

from .conftest import Place

pytestmark = pytest.mark.heavy


def users_line(result: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in result.stderr.splitlines() if line.startswith("steerability: ")]
    assert lines, result.stderr
    return lines[0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"modles": []}, "modles"),
        ({"shards": "two"}, "shards: Input should be a valid integer"),
        ({"interventions": ["pro", "nudge"]}, "'nudge' is not defined"),
    ],
)
def test_a_wrong_config_stops_the_workflow_before_it_starts(
    place: Place, changes: dict[str, Any], said: str
) -> None:
    before = place.objects()
    place.write(**changes)
    result = place.snakemake()
    assert result.returncode == 2
    assert said in users_line(result)
    assert "Traceback" not in result.stderr
    assert place.objects() == before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe\x00n", "UTF-8"),
        (b"name: small\nversion: '1'\n", "licence is missing"),
    ],
)
def test_a_wrong_suite_stops_in_one_line(place: Place, content: bytes, said: str) -> None:
    """Nothing to be done is no answer when a named file is wrong."""
    before = place.objects()
    (place.folder / "suite.yaml").write_bytes(content)
    result = place.snakemake()
    assert result.returncode == 2
    assert said.lower() in users_line(result).lower()
    assert place.objects() == before


def test_a_suite_with_a_repeated_id_stops_in_one_line(place: Place) -> None:
    before = place.objects()
    place.write_suite(
        {"id": "ferry", "category": "evading_shutdown", "context": "", "prompt": "Other words."}
    )
    result = place.snakemake()
    assert result.returncode == 2
    assert "ferry" in users_line(result)
    assert place.objects() == before


def test_an_absent_intervention_text_stops_in_one_line(place: Place) -> None:
    (place.folder / "anti.txt").unlink()
    result = place.snakemake()
    assert result.returncode == 2
    assert "anti.txt" in users_line(result)
