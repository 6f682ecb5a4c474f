import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from steerability.config.load import check_config, load_config, merge
from steerability.config.schema import PAGE_PATH, SCHEMA_PATH, page_text, schema_text
from steerability.inputs.files import check_inputs, named_files
from steerability.support.errors import UserError


@pytest.fixture
def paper(root: Path) -> dict[str, Any]:
    return yaml.safe_load((root / "config.yaml").read_text())


@pytest.mark.parametrize(
    "overlay", [path.name for path in (Path(__file__).parents[2] / "config").glob("*.yaml")]
)
def test_every_overlay_is_sound(root: Path, overlay: str) -> None:
    """Over config.yaml, and over what its own first lines lay beneath it."""
    text = (root / "config" / overlay).read_text(encoding="utf-8")
    told = re.search(r"(?m)^# .*--configfile .*$", text)
    beneath = re.findall(r"config/([\w.-]+\.yaml)", told[0])[:-1] if told else []
    config = load_config(
        [root / "config.yaml", *(root / "config" / n for n in (*beneath, overlay))]
    )
    assert config.run == Path(overlay).stem


def test_the_untouched_config_is_the_papers_grid(root: Path) -> None:
    config = load_config([root / "config.yaml"])
    models = [config.catalogue.models[name] for name in config.models]
    assert [(model.size, model.stage) for model in models] == [
        (size, stage) for size in ("4B", "30B") for stage in ("Base", "Instruct", "Thinking")
    ]
    assert [model.max_tokens for model in models] == [1024, 1024, 8096] * 2
    assert config.primary_judge == "distilled"


def test_schema_and_page_are_those_of_the_model(root: Path) -> None:
    mend = "run `steerability config --write`"
    assert (root / SCHEMA_PATH).read_text() == schema_text(), mend
    assert (root / PAGE_PATH).read_text() == page_text(), mend


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"modles": []}, "modles"),
        ({"shards": "two"}, "shards"),
        ({"shards": 0}, "shards"),
        ({"catalogue": {"models": {"qwen3-4b-base": {"size": ""}}}}, "qwen3-4b-base.gguf.size"),
        ({"scenarios_per_category": 0}, "scenarios_per_category"),
        ({"scenarios_per_category": 2, "outputs": "transcripts"}, "of the whole suite"),
        ({"shards": True}, "shards"),
        ({"models": []}, "models"),
        ({"models": ["gpt-9"]}, "'gpt-9' is not defined"),
        ({"models": ["qwen3-4b-base", "qwen3-4b-base"]}, "stands twice"),
        ({"interventions": ["pro", "nudge"]}, "'nudge' is not defined"),
        ({"suite": "other"}, "'other' is not defined"),
        ({"primary_judge": "rules"}, "not among judges"),
        ({"judges": ["distilled", {"judge": "rules", "models": ["x"]}]}, "names 'x'"),
        ({"judges": [{"judge": "distilled", "models": ["qwen3-4b-base"]}]}, "every model"),
        ({"run": "../elsewhere"}, "run"),
        ({"catalogue": {"models": {"m": {"source": "gguf", "size": "1B"}}}}, "catalogue.models.m"),
        ({"catalogue": {"judges": {"rules": {"kind": "oracle"}}}}, "catalogue.judges.rules"),
        ({"parallel": 2.5}, "parallel"),
        ({"max_tokens": 2**31}, "max_tokens: Input should be less than or equal to 2147483647"),
        ({"analysis": {"seed": 2**53 + 1}}, "analysis.seed"),
    ],
)
def test_a_wrong_config_is_one_line(
    paper: dict[str, Any], change: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError) as error:
        check_config(merge(paper, change), where="config.yaml")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_number_that_no_key_can_hold_is_refused(paper: dict[str, Any]) -> None:
    """Canonical JSON ends at 2**53."""
    for field in ("max_tokens", "max_prompt_tokens"):
        change = {"catalogue": {"models": {"qwen3-4b-base": {field: 2**53 + 1}}}}
        with pytest.raises(UserError, match=rf"qwen3-4b-base\.gguf\.{field}: .* 2147483647"):
            check_config(merge(paper, change))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"run: [", "not YAML"),
        (b"- a\n", "mapping"),
        (b"run: \xff\xfe", "not UTF-8"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_is_no_config_is_one_line(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "c.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=said) as error:
        load_config([path])
    assert "\n" not in str(error.value)


def test_an_overlay_replaces_lists_and_merges_mappings() -> None:
    base = {"a": {"x": 1, "y": [1, 2]}, "b": 1}
    assert merge(base, {"a": {"y": [3]}, "c": 2}) == {"a": {"x": 1, "y": [3]}, "b": 1, "c": 2}
    assert base == {"a": {"x": 1, "y": [1, 2]}, "b": 1}


@pytest.mark.parametrize(
    ("analysis", "said"),
    [
        ({"reference_labels": ["human.jsonl"]}, "analysis.reference_labels is missing"),
        ({"calibration": "results/old/cells.csv"}, "analysis.calibration is missing"),
        ({"ablations": {"bare": "results/b/table1.csv"}}, "analysis.ablations.bare is missing"),
    ],
)
def test_a_file_that_the_analysis_reads_is_looked_for_before_anything_runs(
    analysis: dict[str, Any],
    said: str,
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Labels of the user's beside the other files of the config, results in the working folder."""
    home, work = tmp_path / "home", tmp_path / "work"
    for folder in (home / "workflow", work):
        folder.parent.mkdir(exist_ok=True)
    for name in ("workflow", "config"):
        (home / name).symlink_to(root / name)
    work.mkdir()
    monkeypatch.chdir(work)
    demo = [root / "config.yaml", root / "config" / "demo.yaml"]
    plain = load_config(demo)
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(yaml.safe_dump({"analysis": analysis}))
    config = load_config([*demo, overlay])
    check_inputs(plain, home)
    with pytest.raises(UserError, match=said):
        check_inputs(config, home)
    [named] = set(named_files(config, home)) - set(named_files(plain, home))
    named.parent.mkdir(parents=True, exist_ok=True)
    named.touch()
    check_inputs(config, home)
    assert named.resolve().parent == home or named.resolve().is_relative_to(work / "results")
