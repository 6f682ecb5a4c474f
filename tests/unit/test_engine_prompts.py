"""Prompts: the usual token ids where nothing is forged, and no forging."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steerability.engine import Engine, PromptError
from steerability.engine.prompts import chat_tokens
from steerability.engine.rendering import render
from steerability.engine.vocabulary import Vocabulary
from steerability.suites.load import load_suite
from support.models import CHATML, SPECIALS, smollm2, tiny
from support.suffixes import asked, suffix

TRIMMING = CHATML.replace("message['content']", "message['content'] | trim")
THINKING = CHATML.replace("assistant\n' }}", "assistant\n<think>\n' }}")
TEMPLATES = (CHATML, TRIMMING, THINKING)
TEXT = st.text(st.sampled_from("the in an ou \n\t.<|>_ämé🙂/kx"), max_size=30)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    with Engine(tiny(tmp_path_factory.mktemp("model") / "tiny.gguf")) as engine:
        yield engine


@pytest.fixture(scope="module")
def vocabulary(engine) -> Vocabulary:
    return engine.vocabulary


def messages(system: str, user: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


@settings(max_examples=200, deadline=None)
@given(TEXT, TEXT, st.sampled_from(TEMPLATES))
def test_ordinary_contents_get_the_ids_of_the_whole_rendering(vocabulary, system, user, template):
    if any(special in system + user for special in (*SPECIALS, "<tool_call>")):
        return
    chat = messages(system, user)
    usual = vocabulary.tokenize(render(template, chat, vocabulary), special=True)
    assert list(chat_tokens(vocabulary, template, chat)) == usual


def test_joints_of_template_and_content_are_tokenised_together(vocabulary):
    template = "{{ messages[0]['content'] }}e end"
    ids = chat_tokens(vocabulary, template, [{"role": "user", "content": "a th"}])
    assert [vocabulary.text(token) for token in ids][:3] == ["a", "Ġ", "the"]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from([*SPECIALS, "<tool_call>", "x", " ", "<", "|", "<|im_", "end|>"])),
    st.sampled_from((*TEMPLATES, CHATML + "<tool_call>")),
)
def test_no_content_can_forge_a_special_token(vocabulary, parts, template):
    template = template.replace("{% for", "{# <tool_call> #}{% for", 1)
    content = "".join(parts)
    special = set(vocabulary.control.values()) | {vocabulary.token("<tool_call>")}

    def specials(text: str) -> list[int]:
        ids = chat_tokens(vocabulary, template, messages(text, text))
        return [token for token in ids if token in special]

    assert specials(content) == specials("harmless")


def test_specials_do_not_form_across_the_joint(vocabulary):
    template = "<|im_{{ messages[0]['content'] }}"
    ids = chat_tokens(vocabulary, template, [{"role": "user", "content": "end|>"}])
    assert not set(ids) & set(vocabulary.control.values())
    assert vocabulary.detokenize(ids) == "<|im_end|>"


def test_contents_keep_their_text(vocabulary):
    content = "say <|im_end|> and </think>"
    ids = chat_tokens(vocabulary, "{{ messages[0]['content'] }}", messages(content, ""))
    assert vocabulary.detokenize(ids) == content


def test_plain_prompts_never_read_control_tokens(engine, vocabulary):
    ids = engine.plain("a<|im_end|>b")
    assert not set(ids) & set(vocabulary.control.values())


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ raise_exception('no system') }}", "no system"),
        ("{% if %}", "cannot be rendered"),
        ("{{ messages.append(1) }}", "cannot be rendered"),
        ("{{ ''.__class__.__mro__ }}", "cannot be rendered"),
    ],
)
def test_templates_that_fail_or_break_out_are_refused(vocabulary, template, words):
    with pytest.raises(PromptError, match=words):
        chat_tokens(vocabulary, template, messages("a", "b"))


def test_weights_without_a_template(tmp_path):
    with (
        Engine(tiny(tmp_path / "bare.gguf", template=None)) as engine,
        pytest.raises(PromptError, match="no chat template"),
    ):
        engine.chat(messages("a", "b"))


def test_detokenising_joins_bytes_before_decoding(vocabulary):
    ids = vocabulary.tokenize("é🙂")
    assert len(ids) > 2
    assert vocabulary.detokenize(ids) == "é🙂"
    assert vocabulary.detokenize(ids[:-1]).endswith("�")


@pytest.mark.parametrize("first", [False, True])
def test_plain_prompts_never_end_with_the_end_token(tmp_path, first):
    header = {"tokenizer.ggml.add_eos_token": True, "tokenizer.ggml.add_bos_token": first}
    header |= {"tokenizer.ggml.bos_token_id": 3}
    with Engine(tiny(tmp_path / "tiny.gguf", header=header)) as engine:
        ids = engine.plain("the end")
        assert list(ids) == [3] * first + engine.vocabulary.tokenize("the end")
        assert engine.vocabulary.eos not in ids
        assert engine.chat(messages("a", "b"))[-1] != engine.vocabulary.eos


def test_prompts_of_the_builtin_suite_are_what_they_were():
    """The digest is of the code that marked messages (3f55d7c), for the first 42 scenarios."""
    folder = Path("workflow/suites")
    interventions = [
        suffix("pro", folder / "interventions/pro.txt"),
        suffix("none", None),
        suffix("anti", folder / "interventions/anti.txt"),
    ]
    rows = []
    with Engine(smollm2()) as engine:
        for scenario in load_suite(folder / "builtin/suite.yaml").pilot(7).scenarios:
            context = scenario.context.strip()
            system = [{"role": "system", "content": context}] if context else []
            for intervention in interventions:
                user = asked(intervention, scenario.prompt)
                question = {"role": "user", "content": user}
                rows.append(engine.chat([*system, question]))
                rows.append(engine.plain("\n\n".join(part for part in (context, user) if part)))
                rows.append(engine.chat([question]))
    found = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    assert found == "c93f59c6ae889e8b60c73cdee90ba0d1ef21e0908f8378f6edd04bdba82bf9d5"
