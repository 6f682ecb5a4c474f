"""The process that chat templates are rendered in; run as a script, it imports nothing of ours.

A template is a program of somebody else's: it may loop, recurse, or ask for more than the memory
holds, also inside one call of C code. So it runs here, in a sandbox of Jinja's, under limits that
the system enforces: processor time by a timer whose signal ends the process, and memory. A line
of JSON in is a template with the conversations to render, a line out has the texts.

The environment is that of ``transformers``: blocks trimmed, loop controls, ``raise_exception``,
``strftime_now``, ``tojson`` with its arguments, ``{% generation %}`` passed over. There is no
clock: ``strftime_now`` says ``TODAY``, which so belongs to the prompt and its key.
"""

import json
import resource
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

# The day that the Llama 3 templates name where they are not told another.
TODAY = datetime(2024, 7, 26)
SECONDS = 5.0
MEMORY_BYTES = 1 << 30
LONGEST = 1 << 24
"""Characters that a rendering may have."""


class Refusal(jinja2.TemplateError):
    """What a template says by ``raise_exception``."""


class Generation(Extension):
    """``{% generation %}``, which marks the assistant's words for training, passed over."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Node:
        """Return the block's body as a block of its own."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller: Any) -> Any:
        return caller()


def _refuse(message: str) -> NoReturn:
    raise Refusal(message)


def _today(form: str) -> str:
    return TODAY.strftime(form)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    # not Jinja's own, which escapes for HTML
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


@lru_cache(maxsize=1)
def environment() -> jinja2.Environment:
    """Return the environment that templates are compiled in."""
    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    made.globals["raise_exception"] = _refuse
    made.globals["strftime_now"] = _today
    made.filters["tojson"] = _to_json
    return made


@lru_cache(maxsize=16)
def _compiled(
    template: str, renamed: tuple[tuple[str, str], ...] = ()
) -> tuple[jinja2.Template, list[str]]:
    """Return a template, and the texts that it looks for.

    Args:
        template: its source.
        renamed: texts to look for in place of others.
    """
    tree = environment().parse(template)
    looked = list(_looked_for(tree))
    texts = sorted({node.value for node in looked})
    names = dict(renamed)
    for node in looked:
        node.value = names.get(node.value, node.value)
    code = environment().compile(tree)
    return jinja2.Template.from_code(environment(), code, environment().globals), texts


def _looked_for(tree: nodes.Template) -> Iterator[nodes.Const]:
    """Yield the texts that a message's content is compared with, or changed by."""
    holders = _holders(tree)
    for node in tree.find_all(nodes.Compare):
        sides = [node.expr, *(operand.expr for operand in node.ops)]
        if any(_holds(side, holders) for side in sides):
            yield from _texts(sides)
    for call in tree.find_all((nodes.Call, nodes.Filter, nodes.Test)):
        if call.node is not None and _holds(call.node, holders):  # type: ignore[attr-defined]
            yield from _texts([*call.args, *(p.value for p in call.kwargs)])  # type: ignore[attr-defined]


def _texts(given: Sequence[nodes.Node]) -> Iterator[nodes.Const]:
    for one in given:
        several = one.items if isinstance(one, nodes.List | nodes.Tuple) else [one]
        for item in several:
            if isinstance(item, nodes.Const) and isinstance(item.value, str):
                yield item


def _holders(tree: nodes.Template) -> set[str]:
    """Return the names that hold a message's content, or something made of one."""
    holders: set[str] = set()
    while True:
        before = len(holders)
        for given in tree.find_all(nodes.Assign):
            if _holds(given.node, holders):
                holders |= _targets(given.target)
        for loop in tree.find_all(nodes.For):
            if _holds(loop.iter, holders):
                holders |= _targets(loop.target)
        for macro in tree.find_all(nodes.Macro):
            for call in tree.find_all(nodes.Call):
                called = isinstance(call.node, nodes.Name) and call.node.name == macro.name
                if called and any(_holds(argument, holders) for argument in call.args):
                    holders |= {argument.name for argument in macro.args}
        if len(holders) == before:
            return holders


def _targets(node: nodes.Node) -> set[str]:
    if isinstance(node, nodes.NSRef):
        return {f"{node.name}.{node.attr}"}
    found = {name.name for name in node.find_all(nodes.Name)}
    return found | ({node.name} if isinstance(node, nodes.Name) else set())


def _holds(node: nodes.Node, holders: set[str]) -> bool:
    """Return whether a message's content is in an expression."""
    for part in (node, *node.find_all(nodes.Expr)):
        if isinstance(part, nodes.Name) and part.name in holders:
            return True
        if isinstance(part, nodes.Getattr):
            space = part.node.name if isinstance(part.node, nodes.Name) else ""
            if part.attr == "content" or f"{space}.{part.attr}" in holders:
                return True
        item = part.arg if isinstance(part, nodes.Getitem) else None
        if isinstance(item, nodes.Const) and item.value == "content":
            return True
    return False


def _pieces(texts: Iterable[str]) -> str:
    found, size = [], 0
    for text in texts:
        found.append(text)
        size += len(text)
        if size > LONGEST:
            raise ValueError(f"it writes more than {LONGEST:,} characters")
    return "".join(found)


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """Render one template over several conversations.

    Args:
        request: ``template``, ``chats`` (lists of messages), ``variables`` for all of them,
            ``renamed``: texts for the template to look for in place of others, if any.

    Returns:
        ``error`` where the template cannot be read; else ``looked_for``, the texts that it
        compares a message's content with or changes it by, and ``texts``: for each conversation
        ``text``, or ``error`` and ``refused``.
    """
    try:
        renamed = tuple(sorted(request.get("renamed", {}).items()))
        template, looked_for = _compiled(request["template"], renamed)
    except Exception as error:
        return {"error": _words(error)}
    return {
        "looked_for": looked_for,
        "texts": [_text(template, chat, request["variables"]) for chat in request["chats"]],
    }


def _text(
    template: jinja2.Template, chat: Sequence[Mapping[str, str]], variables: Mapping[str, Any]
) -> dict[str, Any]:
    try:
        return {"text": _pieces(template.generate(messages=chat, **variables))}
    except Exception as error:
        return {"error": _words(error), "refused": isinstance(error, Refusal)}


def _words(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it calls itself without end"
    if isinstance(error, MemoryError):
        return "it needs more than the memory it may have"
    words = " ".join(str(error).split()) or type(error).__name__
    words = "".join(letter if letter.isprintable() else "?" for letter in words)
    return words if len(words) <= 300 else f"{words[:300]}…"


def main() -> None:
    """Answer requests until the input ends."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    most = MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(MEMORY_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin:
        # the signal's own effect is to end the process, in the midst of C code too
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        reply = json.dumps(answer(json.loads(line)))
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(reply, flush=True)


if __name__ == "__main__":
    main()
