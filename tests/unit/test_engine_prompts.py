"""Prompts: the usual token ids where nothing is forged, and no forging."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steerability.engine import Engine, PromptError
from steerability.engine.prompts import chat_tokens
from steerability.engine.rendering import render
from steerability.engine.vocabulary import Vocabulary
from support.models import CHATML, SPECIALS, tiny

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
