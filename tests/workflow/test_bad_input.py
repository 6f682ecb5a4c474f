"""Bad input: one line, status 2, and the store untouched."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from steerability.protocol.intervention import Intervention

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


MINE = {"source": "gguf", "weights": "my-own", "size": "1B", "stage": "Chat"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"models": ["mine"], "catalogue": {"models": {"mine": MINE}}},
            "config/weights.csv: no weight is called my-own; use one of ",
        ),
        (
            {"catalogue": {"interventions": {"pro": "published:pro"}}},
            "no published run is labelled pro; use one of published:pro_ic",
        ),
        (
            {
                "catalogue": {"interventions": {"pro": "published:pro_ic"}},
                "sources": {"mirror": "."},
            },
            "no published log of the condition pro_ic",
        ),
    ],
)
def test_what_a_config_names_outside_itself_must_be_known(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    place = Place(tmp_path / "run").create(suite="builtin", **changes)
    result = place.snakemake()
    assert result.returncode == 2, result.stderr
    assert said in users_line(result)
    assert "Traceback" not in result.stderr
    assert not place.objects()


def test_the_published_baseline_is_no_suffix(tmp_path: Path) -> None:
    texts = {"none": "published:baseline"}
    place = Place(tmp_path / "run").create(
        suite="builtin", interventions=["none"], catalogue={"interventions": texts}
    )
    result = place.snakemake("--until", "interventions")
    assert result.returncode == 0, result.stdout + result.stderr
    lines = (place.run / "interventions.jsonl").read_text().splitlines()
    assert [Intervention.model_validate_json(line) for line in lines] == [Intervention(name="none")]
