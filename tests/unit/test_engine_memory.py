"""Width and layers from the memory there is, sharded weights, and words when nothing fits."""

import json
from pathlib import Path

import pytest

from steerability.cli import run
from steerability.engine import BatchPlan, Engine, InputError, library
from steerability.engine.memory import (
    CONSTANT_BYTES,
    Demand,
    MemoryShortError,
    device_layers,
    device_width,
    fitting_width,
)
from steerability.fetch.pins import WeightPin
from steerability.fetch.weights import Places, obtain
from steerability.loading.weight_file import weights_bytes, weights_sha256
from support import tiny_qwen

GB = 10**9
# Qwen3-4B at Q8_0 and Qwen3-30B-A3B at Q4_K_M: 2 bytes x layers x KV heads x (key + value)
DENSE = Demand(int(4.28 * GB), 2 * 36 * 8 * 256, 37)
MOE = Demand(int(18.55 * GB), 2 * 48 * 4 * 256, 49)
THINKING = 4096 + 8096


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen.make(tmp_path_factory.mktemp("tiny") / "tiny.gguf", merges=2000)


def test_cells_of_the_checkpoints() -> None:
    assert DENSE.cell == 147_456
    assert MOE.cell == 98_304
    # whole blocks of 256 cells, one row more than the tokens
    assert MOE.slot(1279) == 98_304 * 1280
    assert MOE.slot(1280) == 98_304 * 1536


@pytest.mark.parametrize("demand", [DENSE, MOE])
@pytest.mark.parametrize("tokens", [1100, THINKING])
def test_width_is_what_the_formula_says(demand: Demand, tokens: int) -> None:
    for free in (8 * GB, 24 * GB, 80 * GB):
        room = 0.9 * free - demand.weights - CONSTANT_BYTES
        expected = min(64, int(room // demand.slot(tokens)))
        if expected < 1:
            with pytest.raises(MemoryShortError, match="of RAM can be used"):
                fitting_width(demand, tokens, 64, free)
        else:
            assert fitting_width(demand, tokens, 64, free) == expected


def test_width_on_a_card_does_not_follow_small_changes() -> None:
    card = 80 * GB
    assert device_width(DENSE, 1100, 64, card) == 64
    width = device_width(DENSE, THINKING, 64, card)
    assert width % 8 == 0 and DENSE.whole(12_288, width) <= 0.9 * card
    assert DENSE.whole(12_288, width + 8) > 0.9 * card
    assert device_width(DENSE, THINKING - 90, 64, card) == width
    assert device_width(MOE, THINKING, 64, 24 * GB) == 1


def test_layers_on_a_card() -> None:
    assert device_layers(DENSE, 1100, 24 * GB, 0) == DENSE.layers
    some = device_layers(MOE, 1100, 16 * GB, 64 * GB)
    assert 0 < some < MOE.layers
    assert MOE.part(some).whole(1100) <= 0.9 * 16 * GB
    assert device_layers(MOE, 1100, GB // 2, 64 * GB) == 0
    with pytest.raises(MemoryShortError, match=r"14\.4 GB of VRAM and 3\.6 GB of RAM can be used"):
        device_layers(MOE, 1100, 16 * GB, 4 * GB)


def test_too_little_ram_is_told_before_loading(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("steerability.engine.widths.available", lambda: CONSTANT_BYTES)
    loaded: list[bool] = []
    monkeypatch.setattr(Engine, "load", lambda _: loaded.append(True))
    request = {"id": "a", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 8}
    (tmp_path / "r.jsonl").write_text(json.dumps(request) + "\n")
    words = ["generate", "--weights", tiny, "--requests", tmp_path / "r.jsonl"]
    words += ["--output", tmp_path / "o.jsonl", "--store", tmp_path / "store"]
    assert run(list(map(str, words))) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "memory" in line]
    assert len(lines) == 1 and "of RAM can be used" in lines[0] and str(tiny) in lines[0]
    assert not loaded and not (tmp_path / "o.jsonl").exists()


def test_a_card_is_used_when_there_is_one(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "offloads", lambda: True)
    monkeypatch.setattr(library, "device", lambda: "card")
    monkeypatch.setattr(library, "device_memory", lambda: (80 * GB, 80 * GB))
    with Engine(tiny, gpu_layers=None) as engine:
        plan = engine.settle(1000)
        assert plan == BatchPlan("card", tiny_qwen.LAYERS + 1, 64)
        assert engine.settle(30_000) is plan
    with Engine(tiny, gpu_layers=2, parallel=8) as engine:
        assert engine.settle(1000) == BatchPlan("card", 2, 8)
    with Engine(tiny) as engine:
        assert engine.settle(1000) is None
    monkeypatch.setattr(library, "device_memory", lambda: (CONSTANT_BYTES, 80 * GB))
    with (
        Engine(tiny, gpu_layers=None) as engine,
        pytest.raises(MemoryShortError, match=r"has 0\.8 GB of its 80\.0 GB free"),
    ):
        engine.settle(1000)


def test_layers_without_a_card_are_refused(tiny: Path) -> None:
    with pytest.raises(InputError, match="no accelerator; set gpu_layers to auto or 0"):
        Engine(tiny, gpu_layers=3)
    with Engine(tiny, gpu_layers=None) as engine:
        assert engine.settle(1000) is None


def test_sharded_weights_run_as_one(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    first = tiny_qwen.make(tmp_path / "parts" / "m.gguf", merges=2000, tensors_per_shard=10)
    pin = WeightPin(
        name="parts",
        source="file",
        file=str(first),
        sha256=weights_sha256(first),
        bytes=weights_bytes(first),
        licence="MIT",
    )
    places = Places(tmp_path / "weights", [], tmp_path / "t.csv", tmp_path / "none.txt")
    named = obtain(pin, places, lambda _: None).path
    request = {"id": "a", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 30}
    (tmp_path / "r.jsonl").write_text(json.dumps(request) + "\n")
    texts = []
    for weights in (tiny, named):
        output = tmp_path / f"{weights.parent.name}.jsonl"
        words = ["generate", "--weights", weights, "--requests", tmp_path / "r.jsonl"]
        words += ["--output", output, "--store", tmp_path / "store"]
        words += ["--weights-sha256", weights_sha256(weights)]
        assert run(list(map(str, words))) == 0
        texts.append(json.loads(output.read_text()))
    assert texts[0]["text"] == texts[1]["text"] != ""
    assert texts[0]["finish_reason"] == "stop"
    assert texts[0]["key"] != texts[1]["key"]
