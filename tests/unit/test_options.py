"""Forms of options that several verbs take."""

import shlex
from pathlib import Path

import pytest

from steerability.config.catalogue import (
    ApiJudge,
    DistilledJudge,
    EndpointModel,
    LlmJudge,
    RulesJudge,
)
from steerability.rules.options import endpoint_options, judge_options, repeat
from steerability.support.errors import UserError
from steerability.support.options import named_values, number_or_auto


def test_a_whole_number_or_auto() -> None:
    assert number_or_auto("auto", least=0, where="--gpu-layers") is None
    assert number_or_auto("0", least=0, where="--gpu-layers") == 0
    assert number_or_auto("12", least=1, where="--parallel") == 12


@pytest.mark.parametrize("text", ["0", "-1", "²", "x", ""])
def test_anything_else_is_one_line(text: str) -> None:
    with pytest.raises(
        UserError, match=r"--parallel: is .*; give auto or a whole number from 1 on"
    ):
        number_or_auto(text, least=1, where="--parallel")


def test_named_values_are_names_and_values() -> None:
    words = ["a=x.json", " b = y=z.json ", "a=w.json"]
    found = named_values(words, "NAME=FILE", where="--suite")
    assert found == {"a": "w.json", "b": "y=z.json"}


@pytest.mark.parametrize("word", ["", "a", "=x", "a=", " = "])
def test_a_value_without_its_name_is_one_line(word: str) -> None:
    with pytest.raises(UserError, match=r"--suite: .* is not NAME=FILE"):
        named_values([word], "NAME=FILE", where="--suite")


def test_rules_pass_options_as_single_words() -> None:
    assert shlex.split(repeat("--suite", ["a b=c.json", "d=$HOME"])) == [
        *("--suite", "a b=c.json", "--suite", "d=$HOME"),
    ]
    assert repeat("--suite", []) == ""


def test_a_judges_entry_becomes_the_verbs_options() -> None:
    home = Path("my home")
    rules = RulesJudge(kind="rules", rubric="r.yaml", blind=True)
    assert shlex.split(judge_options(rules, home, None, [])) == [
        *("--definition", "my home/r.yaml", "--blind"),
    ]
    llm = LlmJudge(kind="llm", weights="w", rubric="r.md")
    assert shlex.split(judge_options(llm, home, "w.gguf", [])) == [
        *("--definition", "my home/r.md", "--weights", "w.gguf"),
    ]
    distilled = DistilledJudge(kind="distilled")
    assert judge_options(distilled, home, None, ["d.json"]) == "--weights d.json"
    assert judge_options(distilled, home, None, ["d.json", "o.jsonl"]) == (
        "--weights d.json --held-out o.jsonl"
    )
    api = ApiJudge(
        kind="api",
        url="http://h/v1",
        model="a judge",
        key_env="KEY",
        rubric="r.md",
        concurrency=7,
        prompt_price=0.0,
    )
    assert shlex.split(judge_options(api, home, None, [])) == [
        *("--definition", "my home/r.md", "--url", "http://h/v1", "--model", "a judge"),
        *("--parallel", "7", "--key-env", "KEY", "--prompt-price", "0.0"),
    ]


def test_an_endpoints_entry_becomes_the_verbs_options() -> None:
    entry = EndpointModel(
        source="endpoint", url="http://h/v1", model="a model", size="?", stage="Chat"
    )
    words = ["--url", "http://h/v1", "--model", "a model", "--limit-field", "max_tokens"]
    assert shlex.split(endpoint_options(entry)) == [*words, "--concurrency", "4"]
    keyed = entry.model_copy(update={"key_env": "KEY"})
    assert shlex.split(endpoint_options(keyed)) == [
        *(*words, "--concurrency", "4", "--key-env", "KEY"),
    ]
