"""The computed table of what a run needs, and the facts it is computed from."""

import math
from pathlib import Path

import pytest

from conftest import Run
from mirror import MIRROR, NEEDS_MIRROR
from steerability.config.load import load_config
from steerability.engine.engine import Engine
from steerability.engine.memory import Demand
from steerability.fetch.pins import WeightPin, read_pins
from steerability.fetch.sources import SourceFolder
from steerability.fetch.weights import Places
from steerability.inputs.files import wanted_weights
from steerability.inputs.texts import read_interventions, read_suite, wanted_sources
from steerability.needs import needs
from steerability.needs.facts import facts_of, read_published
from steerability.plan.requests import plan_requests
from support import tiny_qwen

HOME = Path()
CARD = needs.Card()
PROMPTS = needs.Prompts(213, needs.MEAN_PROMPT, needs.LONGEST_PROMPT)
NO_PLACES = Places(Path("nowhere"), [], Path("nowhere.csv"), Path("none"))


def demand(name: str) -> Demand:
    pins = read_pins(Path("config/weights.csv"))
    known = facts_of(pins[name], read_published(HOME), None)
    assert known is not None and known.origin == "published"
    return known.demand


def test_the_page_and_the_readme_are_what_the_arithmetic_says() -> None:
    assert Path("docs/needs.md").read_text(encoding="utf-8") == needs.page(HOME)
    table = needs.table(needs.published_rows(HOME))
    assert table in Path("README.md").read_text(encoding="utf-8")


def test_the_arithmetic_by_hand() -> None:
    found = needs.generating(demand("qwen3-4b-instruct-2507-q8_0"), 1024, PROMPTS, CARD)
    assert found.width == 64
    # 4 rounds of 1,024 steps; 4.28 GB and 64 x 791 tokens x 147,456 bytes a step, 1.675 TB/s
    step = (4.28e9 + 64 * 791 * 147_456) / 1.675e12 + 0.005
    prompts = 213 * 5 * (4.28e9 / 1.675e12 + 0.005)
    assert found.seconds == pytest.approx(4 * 1024 * step + prompts, rel=1e-6)
    # one sequence of 2,048 tokens beside the weights, in nine tenths of the card
    assert found.least == pytest.approx((4.28e9 + (768 << 20) + 2048 * 147_456) / 0.9, rel=0.01)


def test_a_judge_reads_every_cell_once() -> None:
    known = demand("qwen3-30b-a3b-instruct-2507-q4_k_m")
    found = needs.judging(known, 640, 1278, CARD)
    assert found.seconds == pytest.approx(1278 * 10 * (known.weights / 1.675e12 + 0.005))
    assert needs.judging(known, 640, 1278, needs.Card(16 * 10**9, 1e12)).width == 0


def test_every_checkpoint_fits_the_card() -> None:
    rows = needs.published_rows(HOME)
    assert [label for label, _, _ in rows][-1] == "judge llm-qwen3-30b"
    assert len(rows) == 7
    for _, _, found in rows:
        assert found is not None
        assert found.card <= 0.9 * CARD.bytes and found.least <= CARD.bytes
        assert 1 <= found.width <= 64


def test_every_hub_weight_has_published_facts_with_a_source() -> None:
    published = read_published(HOME)
    pins = read_pins(Path("config/weights.csv"))
    assert set(published) == {name for name, pin in pins.items() if pin.source == "hub"}
    assert all("size: " in row.source and "shape: " in row.source for row in published.values())


def test_a_file_that_is_here_speaks_for_itself(tmp_path: Path) -> None:
    path = tiny_qwen.make(tmp_path / "tiny.gguf", merges=500)
    pin = WeightPin(name="tiny", source="hub", repository="a/b", file="tiny.gguf", licence="MIT")
    published = read_published(HOME)
    assert facts_of(pin, published, NO_PLACES) is None
    known = facts_of(pin, published, NO_PLACES._replace(search=[tmp_path]))
    assert known is not None and known.origin == "header"
    cell = 2 * tiny_qwen.LAYERS * tiny_qwen.KV_HEADS * 2 * tiny_qwen.HEAD
    assert known.demand == Demand(path.stat().st_size, cell, tiny_qwen.LAYERS + 1)


def test_a_locked_size_goes_before_the_published_one() -> None:
    pin = read_pins(Path("config/weights.csv"))["qwen3-4b-base-q8_0"]
    locked = pin.model_copy(update={"bytes": 4_000_000_001})
    known = facts_of(locked, read_published(HOME), NO_PLACES)
    assert known is not None and known.demand.weights == 4_000_000_001


def test_texts_of_a_suite_file_are_counted() -> None:
    config = load_config([Path("config.yaml"), Path("config/demo.yaml")])
    found = needs.prompts_of(config, HOME)
    suite = read_suite(config, SourceFolder(Path(config.sources.index), Path()), HOME)
    assert found.cells == 3 * len(suite.scenarios)
    assert 20 < found.mean < found.longest < 2000


def test_weights_that_nothing_is_known_of_are_named() -> None:
    config = load_config([Path("config.yaml")])
    facts = dict.fromkeys(wanted_weights(config))
    text = needs.table(needs.needs_of(config, HOME, facts, CARD))
    assert text.count("not known before it is fetched") == 7


def test_a_pilot_has_fewer_prompts() -> None:
    config = load_config([Path("config.yaml")])
    pilot = config.model_copy(update={"scenarios_per_category": 2})
    assert needs.prompts_of(config, HOME).cells == 3 * 71
    assert needs.prompts_of(pilot, HOME).cells == 3 * 12


def test_the_verb_takes_a_card_and_says_what_does_not_fit(steerability: Run, root: Path) -> None:
    done = steerability("needs", "--vram", "8", "--bandwidth", "0.3", cwd=root)
    assert done.returncode == 0, done.stderr
    rows = {line.split(" | ")[0]: line for line in done.stdout.splitlines() if line[:1] == "|"}
    assert "not wholly" in rows["| 30B Base"] and "not wholly" not in rows["| 4B Thinking"]
    assert "computed, not measured" in done.stdout


@NEEDS_MIRROR
def test_the_published_prompts_are_as_long_as_said(tmp_path: Path) -> None:
    """Counted with Qwen3's real vocabulary and Thinking's chat template, the longest."""
    from steerability.fetch.download import fetch_sources

    config = load_config([Path("config.yaml")])
    sources = SourceFolder(Path(config.sources.index), tmp_path)
    wanted = [sources.source(name) for name in wanted_sources(config, sources, MIRROR)]
    fetch_sources(sources, wanted, MIRROR, "", lambda _: None)
    suite = read_suite(config, sources, HOME)
    assert len(suite.scenarios) == needs.SCENARIOS["published"]
    model = config.catalogue.models["qwen3-4b-instruct"]
    interventions = read_interventions(config, sources, HOME)
    path = tiny_qwen.make(tmp_path / "tiny.gguf", stage="Thinking")
    with Engine(path, file_bytes=path.stat().st_size, parallel=1) as engine:
        lengths = [
            len(engine.chat([message.model_dump() for message in request.messages or ()]))
            for request in plan_requests("m", model, suite, interventions)
        ]
    assert len(lengths) == 213
    assert max(lengths) == needs.LONGEST_PROMPT
    assert math.floor(sum(lengths) / len(lengths) + 0.5) == needs.MEAN_PROMPT
