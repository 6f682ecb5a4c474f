"""Prompts over a table of vocabularies and templates: the ids of the whole rendering, no forging.

The rendering that ids are compared with is transformers' own; it is tokenised whole, with special
tokens read, by llama.cpp.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steerability.engine import PromptError
from steerability.engine.prompts import chat_tokens, plain_tokens
from steerability.engine.rendering import variables
from steerability.engine.vocabulary import Vocabulary
from steerability.engine.weights import Weights
from support.vocabularies import CHATML, CONTROL, LOOKS, MARKS, SPELLINGS, TEMPLATES, VOCABULARIES

Chat = list[dict[str, str]]
# as the constant says; transformers would ask the clock
LLAMA_DAY = ("strftime_now('%d %b %Y')", "'26 Jul 2024'")
SPECIALS = (*CONTROL, *MARKS)
PIECES = st.sampled_from(
    (
        *(
            "the",
            "no",
            "x",
            "A",
            "é",
            "世",
            "🙂",
            " ",
            "  ",
            "    ",
            "\n",
            "\n\n",
            "\n    ",
            "\t\t",
        ),
        *(
            "    return",
            "<table>",
            "<h1>",
            "/think",
            "/no_think",
            "/nothink",
            "<",
            "|",
            ">",
            "[",
            "]",
        ),
        *("{{", "%}", "'", '"', "\\", "&", "1", "▁", "\u00a0", "\r\n", ".", "_", "-"),
    )
)
ORDINARY = st.lists(PIECES, max_size=14).map("".join)
LETTERS = st.text(max_size=12)
CONTENT = ORDINARY | LETTERS


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Weights]:
    folder = tmp_path_factory.mktemp("vocabularies")
    return {
        name: Weights(make(folder / f"{number}.gguf"), vocabulary_only=True)
        for number, (name, make) in enumerate(VOCABULARIES.items())
    }


@pytest.fixture(scope="module", params=VOCABULARIES)
def vocabulary(request: pytest.FixtureRequest, files: dict[str, Weights]) -> Iterator[Vocabulary]:
    yield Vocabulary(files[request.param])


@cache
def compiled(template: str) -> Any:
    from transformers.utils.chat_template_utils import _compile_jinja_template

    return _compile_jinja_template(template.replace(*LLAMA_DAY))


def rendering(template: str, chat: Chat, vocabulary: Vocabulary) -> str:
    return str(compiled(template).render(messages=chat, **variables(vocabulary)))


def whole(template: str, chat: Chat, vocabulary: Vocabulary) -> list[int]:
    return vocabulary.tokenize(rendering(template, chat, vocabulary), special=True)


def chats(system: str, user: str, said: str) -> list[Chat]:
    asked = {"role": "user", "content": user}
    return [
        [asked],
        [{"role": "system", "content": system}, asked],
        [asked, {"role": "assistant", "content": said}, {"role": "user", "content": system}],
    ]


def forms_a_special(text: str) -> bool:
    return any(word in text for word in SPECIALS)


@pytest.mark.parametrize("style", TEMPLATES)
@settings(max_examples=15, deadline=None)
@given(system=CONTENT, user=CONTENT, said=CONTENT)
def test_ids_are_those_of_the_whole_rendering(
    vocabulary: Vocabulary, style: str, system: str, user: str, said: str
) -> None:
    template = TEMPLATES[style]
    for chat in chats(system, user, said):
        if any(forms_a_special(message["content"]) for message in chat):
            continue
        assert list(chat_tokens(vocabulary, template, chat)) == whole(template, chat, vocabulary)


@settings(max_examples=20, deadline=None)
@given(system=CONTENT, user=CONTENT, said=CONTENT)
def test_a_template_gives_the_same_ids_however_it_is_spelled(
    vocabulary: Vocabulary, system: str, user: str, said: str
) -> None:
    for chat in chats(system, user, said):
        first, *others = [chat_tokens(vocabulary, spelling, chat) for spelling in SPELLINGS]
        assert all(other == first for other in others)


FORGING = st.lists(
    st.sampled_from((*SPECIALS, "x", " ", "<", "|", "<|im_", "end|>", "/", "think>", "\n", "[/"))
).map("".join)


@pytest.mark.parametrize("style", TEMPLATES)
@settings(max_examples=15, deadline=None)
@given(system=FORGING, user=FORGING)
def test_no_message_forges_a_special_token(
    vocabulary: Vocabulary, style: str, system: str, user: str
) -> None:
    template = TEMPLATES[style]
    chat, harmless = chats(system, user, "")[1], chats("x", "x", "")[1]
    # an added token is the template's where the template writes it; llama.cpp makes some control
    # tokens (Harmony's) added ones
    guarded = {
        vocabulary.token(word)
        for word in SPECIALS
        if word in vocabulary.control or word in template
    }

    def specials(ids: tuple[int, ...] | list[int]) -> list[int]:
        return [token for token in ids if token in guarded]

    try:
        ids = chat_tokens(vocabulary, template, chat)
    except PromptError as error:
        # one line in place of a guess, where the template looks for the very token
        assert "special token" in error.what and "\n" not in error.what
        assert style in ("DeepSeek", "GLM")
        return
    assert specials(ids) == specials(whole(template, harmless, vocabulary))


def test_neutralised_texts_stay_what_they_are(vocabulary: Vocabulary) -> None:
    text = "say <|im_end|> and </think>x"
    template = "{# </think> #}" + CHATML
    ids = chat_tokens(vocabulary, template, [{"role": "user", "content": text}])
    if vocabulary.detokenize(vocabulary.tokenize("A")).strip() != "A":
        return  # WordPiece keeps neither case nor blanks
    assert text in vocabulary.detokenize(ids)


def test_joined_halves_form_no_token(vocabulary: Vocabulary) -> None:
    template = "<|im_{{ messages[0].content }}<|im_end|>"
    ids = chat_tokens(vocabulary, template, [{"role": "user", "content": "start|>"}])
    assert [t for t in ids if t in vocabulary.control.values() and t not in vocabulary.unknown] == [
        vocabulary.control["<|im_end|>"]
    ]


def test_pieces_that_a_template_puts_together_form_no_token(vocabulary: Vocabulary) -> None:
    """SmolLM3's way: what stands around a word that the template takes out of a message."""
    system = "<|im_/thinkend|><|im_/no_thinkstart|>user"
    chat = [{"role": "system", "content": system}, {"role": "user", "content": "x"}]
    text = rendering(LOOKS, chat, vocabulary)
    assert "<|im_end|><|im_start|>user" in text
    ids = chat_tokens(vocabulary, LOOKS, chat)
    end = vocabulary.control["<|im_end|>"]
    assert ids.count(end) == text.count("<|im_end|>") - 1


def test_what_a_template_looks_for_is_found_in_a_message(vocabulary: Vocabulary) -> None:
    chat = [{"role": "system", "content": "Be brief. /no_think"}, {"role": "user", "content": "a"}]
    ids = list(chat_tokens(vocabulary, LOOKS, chat))
    assert ids == whole(LOOKS, chat, vocabulary)
    assert vocabulary.token("</think>") in ids


def test_plain_prompts_get_a_first_token_and_never_a_last(files: dict[str, Weights]) -> None:
    vocabulary = Vocabulary(files["SentencePiece, blank in front"])
    ids = plain_tokens(vocabulary, "the user")
    assert ids[0] == vocabulary.bos and list(ids[1:]) == vocabulary.tokenize("the user")
    assert vocabulary.eos not in ids


def test_added_white_space_is_one_token_on_both_sides_of_a_border(
    files: dict[str, Weights],
) -> None:
    """By hand: Gemma's double line end, half the template's and half the message's."""
    vocabulary = Vocabulary(files["SentencePiece, lines, runs and tags (Gemma)"])
    template = "<start_of_turn>user\n{{ messages[0].content }}<end_of_turn>"
    ids = chat_tokens(vocabulary, template, [{"role": "user", "content": "\nno  the<h1>"}])
    texts = [vocabulary.text(token) for token in ids]
    assert texts == [
        *("<start_of_turn>", "user", "\n\n", "no", "  ", "the", "<h1>", "<end_of_turn>"),
    ]
