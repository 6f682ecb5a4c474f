"""The process that renders templates: transformers' environment, and limits, one line each."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from steerability.engine import Engine, PromptError
from steerability.engine.rendering import _child, render
from support.models import CHATML, tiny

CHAT = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with Engine(tiny(tmp_path_factory.mktemp("model") / "tiny.gguf")) as engine:
        yield engine


@pytest.mark.parametrize(
    "template",
    [
        "{{ messages | tojson }}",
        "{{ messages | tojson(indent=2) }}",
        "{{ {'b': '<é>', 'a': [1, none]} | tojson(ensure_ascii=true, sort_keys=true) }}",
        "{{ {'b': 1, 'a': 2} | tojson(separators=(',', ':')) }}",
        "{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{{ m.role }}"
        "{% endfor %}",
        "{% for m in messages %}{{ m.role }}{% break %}{% endfor %}",
        "a{% generation %}\n  b{% set x = 1 %}{{ x }}\n{% endgeneration %}{{ x }}c",
        "{%- generation -%}  b  {%- endgeneration -%}  c",
        "   {% if true %}\n  x\n   {% endif %}\ny",
        "{{ tools is none }} {{ documents is none }} {{ add_generation_prompt }} {{ unheard_of }}|",
        "{{ bos_token }}{{ eos_token }}{{ messages | length }}{{ messages[-1].content | upper }}",
        "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}"
        "{{ ns.n }}{{ 'a b'.split() | join('-') }}{{ '%s' % 1 }}{{ '{}'.format(2) }}",
        "{%- macro f(x) -%}<{{ x }}>{%- endmacro -%}{{ f('a') ~ f('b') }}",
    ],
)
def test_the_environment_is_that_of_transformers(engine: Engine, template: str) -> None:
    from transformers.utils.chat_template_utils import render_jinja_template

    vocabulary = engine.vocabulary
    (theirs,), _ = render_jinja_template(
        [CHAT],
        chat_template=template,
        add_generation_prompt=True,
        bos_token=vocabulary.text(vocabulary.bos),
        eos_token=vocabulary.text(vocabulary.eos),
    )
    assert render(template, CHAT, vocabulary) == theirs


def test_today_is_a_day_in_the_prompt_and_so_in_the_key(engine: Engine) -> None:
    llama = (
        "{% if strftime_now is defined %}{{ strftime_now('%d %b %Y') }}{% else %}no{% endif %}"
        "{{ strftime_now('%Y-%m-%d') }}"
    )
    assert render(llama, CHAT, engine.vocabulary) == "26 Jul 20242024-07-26"


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ 1 // 0 }}", "zero"),
        ("{{ 5 % 0 }}", "zero"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "without end"),
        ("{% for i in range(99999999999) %}x{% endfor %}", "Range too big"),
        ("{{ 'x' * 99999999999 }}", "memory"),
        ("{{ 'x'.ljust(9999999999) }}", "memory"),
        ("{{ '%9999999999d' % 1 }}", "memory"),
        ("{% for i in range(99999) %}{{ 'x' * 9999 }}{% endfor %}", "16,777,216 characters"),
        ("{{ messages[7].content.strip() }}", "has no element 7"),
        ("{{ messages | tojson(indent=messages) }}", "cannot be rendered"),
        ("{{ strftime_now(3) }}", "cannot be rendered"),
        ("{% generation %}", "Unexpected end of template"),
        ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "chat template"),
        ("{{ [" + "[" * 9000, "chat template"),
        ("x" * (1 << 20) + "y", "characters"),
        ("{{ '\x1b[31m' | nosuch }}", "nosuch"),
        ("{{ raise_exception('two\nlines \x1b[31m') }}", "two lines"),
        ("{% include 'x' %}", "cannot be rendered"),
    ],
)
def test_what_a_template_must_not_do_is_one_line(engine: Engine, template: str, words: str) -> None:
    with pytest.raises(PromptError, match=words) as raised:
        engine.chat(CHAT, template)
    assert len(str(raised.value)) < 500 and str(raised.value).isprintable()


NESTED = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize("template", [NESTED, "{{ 9 ** (9 ** 9) }}"], ids=["loops", "C code"])
def test_a_template_that_never_ends_is_ended(engine: Engine, template: str) -> None:
    """The first is Python's own steps, the second is one step of C code."""
    with pytest.raises(PromptError, match="does not end within 5 s"):
        engine.chat(CHAT, template)
    # and the next one is rendered
    assert render("{{ messages[1].content }}", CHAT, engine.vocabulary) == "u"


def test_the_process_of_templates_ends_with_this_one(tmp_path: Path) -> None:
    model = tiny(tmp_path / "tiny.gguf")
    code = (
        "from pathlib import Path; from steerability.engine import Engine, rendering\n"
        f"e = Engine(Path({str(model)!r})); e.chat([{{'role': 'user', 'content': 'a'}}])\n"
        "print(rendering._child._process.pid, flush=True); import os; os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    pid = int(done.stdout)
    for _ in range(200):
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.05)
    raise AssertionError(f"process {pid} is still there")


def test_a_killed_process_is_started_again(engine: Engine) -> None:
    first = engine.chat(CHAT)
    assert _child._process is not None
    _child._process.kill()
    _child._process.wait()
    assert engine.chat(CHAT) == first


def test_the_process_imports_nothing_of_the_package() -> None:
    from steerability.engine import template_child

    request = json.dumps({"template": CHATML, "chats": [CHAT], "variables": {}}) + "\n"
    done = subprocess.run(
        [sys.executable, "-P", "-X", "importtime", template_child.__file__],
        input=request,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["texts"][0]["text"].startswith("<|im_start|>system\ns<|im_end|>")
    assert "steerability" not in done.stderr and "llama_cpp" not in done.stderr


def test_a_refused_system_message_names_the_way_out(engine: Engine) -> None:
    template = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
        + CHATML
    )
    with pytest.raises(PromptError, match="no system role") as raised:
        engine.chat(CHAT, template)
    assert "fold_system" in raised.value.mend
    folded = engine.chat(CHAT, template, fold_system=True)
    assert folded == engine.chat([{"role": "user", "content": "s\n\nu"}], template)


def test_another_refusal_does_not_blame_the_system_message(engine: Engine) -> None:
    with pytest.raises(PromptError, match="never") as raised:
        engine.chat(CHAT, "{{ raise_exception('never') }}")
    assert "fold_system" not in str(raised.value)


def test_without_a_user_message_nothing_is_folded(engine: Engine) -> None:
    alone = [{"role": "system", "content": "s"}]
    assert engine.chat(alone, CHATML, fold_system=True) == engine.chat(alone, CHATML)
