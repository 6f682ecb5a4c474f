"""What a run says it will fetch, before it does."""

from pathlib import Path

import pytest
import yaml

from steerability.cli import run
from steerability.config.load import load_config
from steerability.config.model import Config
from steerability.fetch.pins import read_pins
from steerability.fetch.sources import SourceFolder
from steerability.inputs.files import (
    check_inputs,
    intervention_files,
    recovered_suffixes,
    wanted_weights,
)
from steerability.inputs.outside import to_fetch
from steerability.inputs.texts import read_interventions, wanted_sources
from steerability.support.errors import UserError

HOME = Path()
PINS = read_pins(Path("config/weights.csv"))


@pytest.fixture(autouse=True)
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "no-hub"))


def config_of(folder: Path, *more: str, **overlay: object) -> Config:
    path = folder / "overlay.yaml"
    given = {"weights_dir": str(folder / "weights"), **overlay}
    path.write_text(yaml.safe_dump(given))
    return load_config([Path("config.yaml"), *map(Path, more), path])


def lines_of(config: Config) -> list[str]:
    sources = SourceFolder(Path(config.sources.index), Path(config.sources.folder))
    return to_fetch(config, HOME, sources, wanted_sources(config, sources))


def test_the_paper_names_its_weights_its_files_and_the_way_without_a_network(
    tmp_path: Path,
) -> None:
    folder = str(tmp_path / "sources")
    lines = lines_of(config_of(tmp_path, sources={"folder": folder}))
    weights = [line for line in lines if line.startswith("to fetch: weights ")]
    assert len(weights) == 6 and "bartowski/Qwen_Qwen3-4B-Thinking-2507-GGUF" in weights[2]
    assert "to fetch: 10 pinned files, " in lines[6]
    assert lines[6].endswith(" bytes, from https://raw.githubusercontent.com")
    assert "weights_search" in lines[7] and "mirror" in lines[7] and len(lines) == 8


def test_what_is_here_is_not_named(tmp_path: Path) -> None:
    here = tmp_path / "weights"
    here.mkdir()
    (here / "qwen3-30b-a3b-base-q4_k_m.gguf").touch()
    (tmp_path / "mine").mkdir()
    for name in wanted_weights(config_of(tmp_path)):
        (tmp_path / "mine" / PINS[name].file).touch()
    sources = {"folder": str(tmp_path / "sources"), "mirror": "some/mirror"}
    lines = lines_of(config_of(tmp_path, weights_search=[str(tmp_path / "mine")], sources=sources))
    assert len(lines) == 1 and lines[0].endswith("from some/mirror")


def test_published_outputs_need_no_weights_and_the_demo_nothing(tmp_path: Path) -> None:
    folder = str(tmp_path / "sources")
    replay = config_of(tmp_path, "config/replay.yaml", sources={"folder": folder})
    assert wanted_weights(replay) == []
    assert [line[:9] for line in lines_of(replay)] == ["to fetch:", "without a"]
    assert lines_of(config_of(tmp_path, "config/demo.yaml")) == []


@pytest.mark.parametrize("verb", ["plan", "needs"])
def test_a_weight_without_a_row_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    overlay = {
        "models": ["mine"],
        "judges": ["rules"],
        "catalogue": {
            "models": {
                "mine": {"source": "gguf", "weights": "my-own", "size": "1B", "stage": "Chat"}
            }
        },
    }
    path = tmp_path / "overlay.yaml"
    path.write_text(yaml.safe_dump(overlay))
    files = ["config.yaml", "config/demo.yaml", str(path)]
    assert run([verb, *(word for file in files for word in ("--configfile", file))]) == 2
    said = capsys.readouterr().err
    assert "config/weights.csv: no weight is called my-own; use one of smollm2-135m-" in said
    assert said.endswith(", or add a row\n") and said.count("\n") == 1


def test_inputs_are_checked_before_anything_is_read_from_them(tmp_path: Path) -> None:
    texts = {"a": "published:pro_ic", "b": "published:baseline", "c": "", "d": str(tmp_path / "d")}
    (tmp_path / "d").write_text("Please.\n")
    config = config_of(
        tmp_path,
        "config/demo.yaml",
        interventions=list(texts),
        catalogue={"interventions": texts},
    )
    check_inputs(config, HOME)
    assert recovered_suffixes(config) == {"a": "pro"}
    assert intervention_files(config, HOME) == {"d": tmp_path / "d"}
    sources = SourceFolder(Path(config.sources.index), tmp_path)
    read = read_interventions(
        config.model_copy(update={"interventions": ("b", "c", "d")}), sources, HOME
    )
    assert [entry.text for entry in read] == ["", "", "Please."]
    wrong = config_of(
        tmp_path, "config/demo.yaml", catalogue={"interventions": {"pro": "published:foo"}}
    )
    with pytest.raises(UserError, match="no published run is labelled foo; use one of published:"):
        check_inputs(wrong, HOME)
