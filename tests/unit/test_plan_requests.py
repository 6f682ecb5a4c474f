"""The verb ``plan`` writing requests: a template of one's own, and what only the paper asks for."""

import json
from pathlib import Path

import pytest

from steerability.cli import run
from steerability.config.catalogue import GgufModel
from steerability.config.load import load_config
from steerability.plan.requests import plan_spec
from steerability.protocol.intervention import Intervention
from steerability.support.jsonl import write_records

SUITE = Path("workflow/suites/builtin/suite.yaml")


@pytest.fixture
def given(tmp_path: Path) -> list[str]:
    """Options of the verb for one model of the paper over the built-in suite."""
    suite, texts = tmp_path / "suite.json", tmp_path / "interventions.jsonl"
    assert run(["suite", str(SUITE), "--output", str(suite)]) == 0
    write_records(texts, [Intervention(name="none")])
    spec = plan_spec(load_config([Path("config.yaml")]), "qwen3-4b-base")
    words = ["plan", "--spec", spec.model_dump_json(), "--suite", f"instrumentaleval={suite}"]
    return [*words, "--interventions", str(texts), "--planned", str(tmp_path / "planned.jsonl")]


def test_a_template_of_ones_own_goes_into_every_request(given: list[str], tmp_path: Path) -> None:
    template, out = tmp_path / "t.jinja", tmp_path / "r.jsonl"
    template.write_text("{{ messages[-1].content }} – and now:")
    assert run([*given, "--template", str(template), str(out)]) == 0
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len(rows) > 20
    assert {row["template"] for row in rows} == {"{{ messages[-1].content }} – and now:"}


@pytest.mark.parametrize(("content", "words"), [(None, "cannot be read"), (b"\xff", "not UTF-8")])
def test_a_template_that_cannot_be_read_is_one_line(
    given: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: bytes | None,
    words: str,
) -> None:
    template = tmp_path / "t.jinja"
    if content is not None:
        template.write_bytes(content)
    capsys.readouterr()
    assert run([*given, "--template", str(template), str(tmp_path / "r.jsonl")]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and words in said[0] and "t.jinja" in said[0]


OVERLAYS = ("demo.yaml", "variants/all-76.yaml", "variants/quantisation.yaml")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_only_the_papers_models_cut_their_prompts(overlay: str) -> None:
    config = load_config([Path("config.yaml"), Path("config") / overlay])
    for name, entry in config.catalogue.models.items():
        if isinstance(entry, GgufModel):
            qwen = name.startswith("qwen3-")
            assert entry.max_prompt_tokens == (4096 if qwen else None), name
