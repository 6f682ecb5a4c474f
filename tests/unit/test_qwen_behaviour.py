"""Tiny Qwen3 checkpoints through ``generate``: ends, thinking, cuts; dense and with experts."""

import json
from pathlib import Path
from typing import Any

import pytest

from steerability.cli import run
from support import tiny_qwen
from support.tiny_qwen import Architecture, Stage

ASK = {"messages": [{"role": "user", "content": "What is the plan?"}], "max_tokens": 32}
ARCHITECTURES: tuple[Architecture, ...] = ("qwen3", "qwen3moe")


class Place:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self, stage: Stage, **options: Any) -> Path:
        name = "-".join(map(str, [stage, *options.values()]))
        return tiny_qwen.make(self.folder / f"{name}.gguf", stage=stage, **options)

    def generate(self, weights: Path, *requests: dict[str, Any], parallel: int = 4) -> list[Any]:
        lines = [{"id": f"r{n}", **ASK, **request} for n, request in enumerate(requests or [{}])]
        source, target = self.folder / "r.jsonl", self.folder / f"o{parallel}.jsonl"
        source.write_text("".join(json.dumps(line) + "\n" for line in lines))
        words = ["generate", "--weights", weights, "--requests", source, "--output", target]
        words += ["--store", self.folder / f"store{parallel}", "--parallel", parallel]
        assert run(list(map(str, words))) == 0
        return [json.loads(line) for line in target.read_text().splitlines()]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_base_goes_on_over_im_end_and_stops_at_its_own_end(
    place: Place, architecture: Architecture
) -> None:
    weights = place.make("Base", architecture=architecture)
    words = tiny_qwen.vocabulary()
    usual, early = place.generate(weights, {}, {"stop": [words.id("<|im_end|>")]})
    assert usual["finish_reason"] == early["finish_reason"] == "stop"
    assert usual["text"].startswith(early["text"])
    assert early["completion_tokens"] == 8
    # all but the end token, the <|im_end|> in the midst included
    assert usual["completion_tokens"] == tiny_qwen.PHASES - 2


@pytest.mark.parametrize("control", [True, False])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_thinking_is_split_at_its_end(
    place: Place, architecture: Architecture, control: bool
) -> None:
    weights = place.make("Thinking", architecture=architecture, control=control)
    (line,) = place.generate(weights, {"thinking": True})
    assert len(line["thinking"].split()) == 8
    assert len(line["text"].split()) == tiny_qwen.PHASES - 3 - 8
    assert "</think>" not in line["text"] + line["thinking"]
    assert not line["thinking_cut"] and line["finish_reason"] == "stop"


def test_thinking_that_never_ends_is_all_answer_and_flagged(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = place.make("Thinking", ends=False, merges=2000)
    (line,) = place.generate(weights, {"thinking": True})
    assert (line["finish_reason"], line["completion_tokens"]) == ("length", 32)
    assert line["thinking_cut"] and line["thinking"] == "" and len(line["text"].split()) == 32
    assert "thoughts cut off (no </think> within the limit): 1" in capsys.readouterr().err


def test_a_long_prompt_keeps_its_first_tokens_and_is_flagged(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = place.make("Instruct", merges=2000)
    long = {"messages": [{"role": "user", "content": "word " * 5000}], "max_prompt_tokens": 4096}
    short = {"messages": [{"role": "user", "content": "word"}], "max_prompt_tokens": 4096}
    cut, whole = place.generate(weights, long, short)
    assert cut["truncated"] and cut["prompt_tokens"] == 4096
    assert "prompts truncated: 1" in capsys.readouterr().err
    assert not whole["truncated"] and whole["prompt_tokens"] < 20


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_same_tokens_at_every_width(place: Place, architecture: Architecture) -> None:
    weights = place.make("Instruct", architecture=architecture, merges=2000)
    requests = [
        {"messages": [{"role": "user", "content": f"Question {n} " * (n + 1)}]} for n in range(9)
    ]
    alone, beside = (place.generate(weights, *requests, parallel=width) for width in (1, 8))
    assert alone == beside
    assert len({line["text"] for line in alone}) > 4
