"""The named ablations: each changes one thing and shares with the main run what it can."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from published_logs import write_mirror
from steerability.config.load import load_config
from steerability.config.model import Config
from steerability.engine import Engine, generation_key
from steerability.fetch.download import fetch_sources
from steerability.fetch.pins import read_pins
from steerability.fetch.sources import SourceFolder
from steerability.judges.run import read_cells
from steerability.plan.requests import plan_requests
from steerability.protocol.records import Intervention
from steerability.suites.instrumentaleval import load_instrumentaleval
from steerability.suites.model import Suite
from steerability.support.canonical import canonical_json, digest
from support import tiny_qwen

MAIN = Path("config.yaml")
VARIANTS = sorted(Path("config/variants").glob("*.yaml"))
PINS = read_pins(Path("config/weights.csv"))
TEXTS = [Intervention(name="pro", text="Do."), Intervention(name="none", text="")]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    path = tiny_qwen.make(tmp_path_factory.mktemp("tiny") / "tiny.gguf", merges=2000)
    with Engine(path) as engine:
        yield engine


@pytest.fixture(scope="module")
def suites(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Suite]:
    """Files of our own in the published form: as many scenarios as the published ones."""
    folder = tmp_path_factory.mktemp("mirror")
    table = write_mirror(folder / "mirror", models=())
    sources = SourceFolder(table, folder / "sources")
    wanted = list(sources.sources.values())
    fetch_sources(sources, wanted, folder / "mirror", "", lambda _: None)
    published = load_instrumentaleval(sources)
    return {"published": published, "all": load_instrumentaleval(sources, "all")}


@cache
def prompt_of(engine: Engine, messages: object) -> tuple[int, ...]:
    chat = [message.model_dump() for message in messages]  # type: ignore[attr-defined]
    return engine.chat(chat)


def keys(config: Config, suites: dict[str, Suite], engine: Engine) -> set[str]:
    """The keys of a run's cells, had its models the tiny one's vocabulary."""
    entry = config.catalogue.suites[config.suite]
    suite = suites[entry.selection]  # type: ignore[union-attr]
    found = set()
    for name in config.models:
        model = config.catalogue.models[name]
        requests = list(
            plan_requests(name, model, suite, TEXTS, send_context=config.context == "sent")
        )
        sha256 = PINS[model.weights].sha256 or model.weights  # type: ignore[union-attr]
        for request in requests:
            prompt = prompt_of(engine, request.messages)
            found.add(digest(generation_key(sha256, prompt, request.max_tokens, engine.stop)))
    return found


@pytest.mark.parametrize(
    ("name", "new", "shared"),
    [
        ("all-76", 6 * 5 * 2, 6 * 71 * 2),
        ("no-context", 6 * 71 * 2, 0),
        ("blind-judge", 0, 6 * 71 * 2),
        ("quantisation-matched", 3 * 71 * 2, 3 * 71 * 2),
        ("quantisation", 2 * 71 * 2, 71 * 2),
    ],
)
def test_a_variant_shares_cells_with_the_main_run(
    name: str, new: int, shared: int, suites: dict[str, Suite], engine: Engine
) -> None:
    main = keys(load_config([MAIN]), suites, engine)
    assert len(main) == 6 * 71 * 2
    variant = keys(load_config([MAIN, Path(f"config/variants/{name}.yaml")]), suites, engine)
    assert (len(variant - main), len(variant & main)) == (new, shared)


def test_every_variant_is_a_run_of_its_own_and_in_the_table() -> None:
    page = Path("config/variants/README.md").read_text(encoding="utf-8")
    configs = [load_config([MAIN, path]) for path in VARIANTS]
    assert len({config.run for config in configs} | {"paper"}) == len(VARIANTS) + 1
    for path, config in zip(VARIANTS, configs, strict=True):
        assert f"`{path.name}` | `{config.run}`" in page
        for name in config.models:
            assert config.catalogue.models[name].weights in PINS  # type: ignore[union-attr]


def test_matched_quantisation_is_matched() -> None:
    config = load_config([MAIN, Path("config/variants/quantisation-matched.yaml")])
    names = [config.catalogue.models[name].weights for name in config.models]  # type: ignore[union-attr]
    assert all(name.endswith("-q4_k_m") for name in names)


def test_blind_judges_see_the_bare_prompt(tmp_path: Path) -> None:
    cell = {"id": "a", "category": "c", "context": "x", "prompt": "p\n\ns\n", "response": "r"}
    path = tmp_path / "cells.jsonl"
    path.write_bytes(canonical_json(cell | {"scenario_prompt": "p"}) + b"\n")
    assert [cell.prompt for cell in read_cells(path)] == ["p\n\ns\n"]
    assert [cell.prompt for cell in read_cells(path, blind=True)] == ["p"]


def test_a_blind_twin_differs_in_nothing_else() -> None:
    overlay = yaml.safe_load(Path("config/variants/blind-judge.yaml").read_text(encoding="utf-8"))
    config = load_config([MAIN, Path("config/variants/blind-judge.yaml")])
    for name, twin in overlay["catalogue"]["judges"].items():
        judge = config.catalogue.judges[name.removesuffix("-blind")]
        assert config.catalogue.judges[name] == judge.model_copy(update={"blind": True})
        assert twin["blind"] is True
