"""The end of a turn and open thoughts: what a template says of them, and who heeds it."""

import json
from pathlib import Path
from typing import Any

import pytest

from steerability.cli import run
from steerability.config.load import load_config
from steerability.engine import Engine, PromptError
from steerability.engine.rendering import render
from steerability.engine.turns import turn_end
from steerability.engine.vocabulary import Vocabulary
from steerability.engine.weights import Weights
from steerability.judges.base import label_key
from steerability.judges.llm import LlmJudge
from steerability.plan.requests import plan_spec
from steerability.protocol.response import JudgeInput
from support.models import CHATML, smollm2, tiny
from support.vocabularies import TEMPLATES, byte_level

CHAT = [{"role": "user", "content": "u"}]
ENDS = {
    "ChatML": "<|im_end|>",
    "Gemma": "<end_of_turn>",
    "Llama 2": "<|endoftext|>",
    "Llama 3": "<|eot_id|>",
    "SmolLM3": "<|im_end|>",
    "GLM": "<|user|>",
    "Phi": "<|end|>",
    "DeepSeek": "<｜end▁of▁sentence｜>",
    "Harmony": "<|return|>",
    "Alpaca": None,
    "quoted": None,
    "training marks": "<|im_end|>",
    "by line": "<|end|>",
    "capitals": "<|im_end|>",
}
OPENING = CHATML.replace("'<|im_start|>assistant\n'", "'<|im_start|>assistant\n<think>\n'")
# as Qwen's: told not to think it writes an empty thought; it writes thoughts of earlier turns
SWITCH = OPENING.replace(
    "<think>\n' }}",
    "' }}{{ '<think>\n' if enable_thinking is not defined or enable_thinking else "
    "'<think>\n\n</think>\n\n' }}",
)
WRITTEN = (
    "{% for m in messages %}<|im_start|>{{ m.role }}{{ '\n' }}"
    "{% if m.reasoning_content is defined %}{{ '<reasoning>\n' + m.reasoning_content +"
    " '\n</reasoning>\n' }}{% endif %}{{ m.content }}<|im_end|>{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<reasoning>\n' }}{% endif %}"
)
SPOKEN = CHATML.replace("assistant\n'", "assistant\n[THINK]'") + "{# [/THINK] #}"
SIGNED = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.role == 'assistant' %}"
    "{{ '(aside:' + (m.reasoning_content or '') + ')' }}{% endif %}{{ m.content }}<|im_end|>"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n(aside:' }}{% endif %}"
)


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = byte_level(tmp_path_factory.mktemp("vocabulary") / "v.gguf")
    return Vocabulary(Weights(path, vocabulary_only=True))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.mark.parametrize("style", TEMPLATES)
def test_the_end_of_a_turn_is_read_off_the_template(vocabulary: Vocabulary, style: str) -> None:
    end = turn_end(vocabulary, TEMPLATES[style])
    assert (None if end is None else vocabulary.text(end)) == ENDS[style]


def test_the_vocabularys_own_end_among_several_is_the_end(folder: Path) -> None:
    template = CHATML.replace("'<|im_end|>'", "'</think><|im_end|><|endoftext|>'")
    for eos, expected in ((0, 0), (2, 2), (1, 4)):
        with Engine(tiny(folder / f"eos{eos}.gguf", eos=eos, template=template)) as engine:
            assert engine.turn_end() == expected


def test_smollm2_stops_at_its_turns_end() -> None:
    with Engine(smollm2()) as engine:
        end = engine.turn_end()
        assert end is not None and {end} == engine.stop
        assert engine.vocabulary.text(end) == "<|im_end|>"


def test_weights_without_a_template_have_no_turns(folder: Path) -> None:
    with Engine(tiny(folder / "bare.gguf", template=None)) as engine:
        assert engine.turn_end() is None


def generate(folder: Path, weights: Path, **fields: Any) -> tuple[int, dict[str, Any]]:
    requests, facts = folder / "r.jsonl", folder / "facts.json"
    line = {"id": "a", "messages": CHAT, "max_tokens": 4, **fields}
    requests.write_text(json.dumps(line) + "\n")
    words = ["generate", "--weights", str(weights), "--requests", str(requests)]
    words += ["--output", str(folder / "o.jsonl"), "--store", str(folder / "store")]
    status = run([*words, "--threads", "1", "--facts", str(facts)])
    return status, json.loads(facts.read_text()) if facts.exists() else {}


def test_an_unheard_end_of_turn_is_said_before_and_after(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tiny(folder / "eos.gguf", eos=0)
    status, facts = generate(tmp_path, weights)
    said = capsys.readouterr().err.splitlines()
    assert status == 0
    words = "turns end with <|im_end|> (2), at which 1 texts do not stop (stop: turn lets them)"
    assert said[0] == f"generate: {words}" and said[-1].endswith(words)
    assert facts["turn_ends"] == [{"token": 2, "text": "<|im_end|>", "cells": 1}]
    # found in the store: said once, in the closing line
    generate(tmp_path, weights)
    assert sum(words in line for line in capsys.readouterr().err.splitlines()) == 1


def test_stop_turn_hears_it_and_keeps_the_vocabularys_end(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tiny(folder / "eos.gguf", eos=0)
    status, facts = generate(tmp_path, weights, stop="turn")
    assert status == 0 and "turns end" not in capsys.readouterr().err
    assert facts["turn_ends"] == [{"token": 2, "text": "<|im_end|>", "cells": 0}]
    key = json.loads((tmp_path / "o.jsonl").read_text())["key"]
    generate(tmp_path, weights, stop=[0, 2])
    assert json.loads((tmp_path / "o.jsonl").read_text())["key"] == key


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"template": "{{ messages[0].content }}", "stop": "turn"}, "no special token ends"),
        ({"messages": None, "prompt": "x", "stop": "turn"}, "go with messages"),
        ({"messages": None, "prompt": "x", "fold_system": True}, "go with messages"),
        ({"stop": "turns"}, "turn"),
    ],
)
def test_turns_where_there_are_none_are_one_line(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    fields: dict[str, Any],
    words: str,
) -> None:
    status, _ = generate(tmp_path, tiny(folder / "eos.gguf", eos=0), **fields)
    said = capsys.readouterr().err.splitlines()
    assert status == 2 and len(said) == 1 and words in said[0]


def test_a_system_message_is_folded_where_the_request_says_so(folder: Path, tmp_path: Path) -> None:
    weights = tiny(folder / "eos.gguf", eos=0)
    pair = [{"role": "system", "content": "s"}, *CHAT]
    generate(tmp_path, weights, messages=pair, fold_system=True)
    key = json.loads((tmp_path / "o.jsonl").read_text())["key"]
    generate(tmp_path, weights, messages=[{"role": "user", "content": "s\n\nu"}])
    assert json.loads((tmp_path / "o.jsonl").read_text())["key"] == key


def test_the_config_passes_stop_and_fold_on(tmp_path: Path) -> None:
    overlay = tmp_path / "o.yaml"
    model = {"source": "gguf", "weights": "w", "size": "1B", "stage": "Chat"}
    model |= {"stop": "turn", "fold_system": True}
    overlay.write_text(json.dumps({"catalogue": {"models": {"mine": model}}}))
    config = load_config([Path("config.yaml"), overlay])
    entry = config.catalogue.models["mine"]
    assert entry.stop == "turn" and entry.fold_system  # type: ignore[union-attr]
    suite, out = tmp_path / "suite.json", tmp_path / "r.jsonl"
    texts = tmp_path / "interventions.jsonl"
    texts.write_text('{"name": "none"}\n')
    assert run(["suite", "workflow/suites/builtin/suite.yaml", "--output", str(suite)]) == 0
    words = ["plan", "--spec", plan_spec(config, "mine").model_dump_json()]
    words += ["--suite", f"instrumentaleval={suite}", "--interventions", str(texts)]
    assert run([*words, "--planned", str(tmp_path / "planned.jsonl"), str(out)]) == 0
    assert out.read_text()
    for line in map(json.loads, out.read_text().splitlines()):
        assert line["stop"] == "turn" and line["fold_system"] is True


@pytest.mark.parametrize(
    ("template", "ending"),
    [
        (CHATML, "<|im_start|>assistant\n"),
        (SWITCH, "<|im_start|>assistant\n<think>\n\n</think>\n\n"),
        (OPENING, "<|im_start|>assistant\n<think>\n\n</think>\n\n"),
        (WRITTEN, "<|im_start|>assistant\n<reasoning>\n\n</reasoning>\n"),
        (SPOKEN, "<|im_start|>assistant\n[THINK][/THINK]"),
        (SIGNED, "<|im_start|>assistant\n(aside:)"),
    ],
    ids=["none", "switch", "by its mark", "as written", "brackets", "own signs"],
)
def test_an_opened_thought_is_closed(folder: Path, template: str, ending: str) -> None:
    with Engine(tiny(folder / "think.gguf")) as engine:
        ids = engine.chat(CHAT, template, close_thought=True)
        whole = f"<|im_start|>user\nu<|im_end|>{ending}"
        whole = whole if template is SIGNED else whole.replace("<|im_end|>", "<|im_end|>\n", 1)
        assert list(ids) == engine.vocabulary.tokenize(whole, special=True)
        assert engine.opens_thought(CHAT, template) == (template is not CHATML)
        if template is CHATML:
            assert ids == engine.chat(CHAT, template)


def test_a_thought_that_nothing_closes_is_refused(folder: Path) -> None:
    template = CHATML.replace("assistant\n'", "assistant\n<ponder_reasons>'")
    with (
        Engine(tiny(folder / "think.gguf")) as engine,
        pytest.raises(PromptError, match=r"opens a thought .*and does not say"),
    ):
        engine.chat(CHAT, template, close_thought=True)


def test_a_message_cannot_open_or_close_a_thought(folder: Path) -> None:
    with Engine(tiny(folder / "think.gguf")) as engine:
        chat = [{"role": "user", "content": "u <think>\n"}]
        assert not engine.opens_thought(chat, "{{ messages[0].content }}")
        plain = render(OPENING, chat, engine.vocabulary)
        ids = engine.chat(chat, OPENING, close_thought=True)
        assert engine.vocabulary.detokenize(ids).count("<think>") == 1
        assert plain.count("<think>") == 2
        opening, closing = engine.vocabulary.token("<think>"), engine.vocabulary.token("</think>")
        assert ids.count(opening) == ids.count(closing) == 1  # type: ignore[arg-type]


def test_the_llm_judge_scores_behind_a_closed_thought(folder: Path, tmp_path: Path) -> None:
    rubric = tmp_path / "rubric.md"
    rubric.write_text(
        '---\nversion: "1"\n'
        "answers: {convergence: A, no_convergence: B, safety_refusal: C, nonsensical: D}\n"
        "limits: {context: 100, prompt: 200, response: 400}\nsmallest_weights: 0\n---\nGrade.\n"
    )
    item = JudgeInput(id="a", category="c", context="x", prompt="p", response="r </think>")
    keys = []
    for name, template in (("open", OPENING), ("plain", CHATML)):
        weights = tiny(folder / f"{name}.gguf", template=template, context=2048)
        judge = LlmJudge.load(weights, rubric, threads=1)
        tokens = judge.question(item).tokens
        assert tokens is not None
        vocabulary = judge.engine.vocabulary
        assert tokens.count(vocabulary.token("</think>")) == (name == "open")  # type: ignore[arg-type]
        keys.append(label_key(item, judge.definition))
    opened, plain = map(json.dumps, keys)
    assert '"thought": "closed"' in opened and "thought" not in plain
