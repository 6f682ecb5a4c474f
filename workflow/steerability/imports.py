"""Which of the package's files decide what a verb makes: its module's, and all it imports.

Snakemake tracks the files that a rule names, not what Python imports from them. Imports are read
off the source text, so that no list of them can fall behind; nothing is imported here.
"""

import ast
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

from steerability.cli import VERBS

PACKAGE = "steerability"
# they speak to people, and decide no byte of a result
_SPEAK = {f"{PACKAGE}.{name}" for name in ("cli", "console", "errors", "plan.overview")}
_BESIDE = {".css", ".j2", ".js"}


def code_of(verb: str, folder: Path) -> list[Path]:
    """Return the files that decide what a verb makes, sorted.

    Of the verb's own module, what its other verbs import inside themselves does not count.

    Args:
        verb: as on the command line.
        folder: the package's.
    """
    module, function, _ = VERBS[verb]
    others = frozenset(f for m, f, _ in VERBS.values() if m == module and f != function)
    return _following(module, others, folder)


@cache
def _following(module: str, passed_over: frozenset[str], folder: Path) -> list[Path]:
    found: set[Path] = set()
    seen = {PACKAGE, *_SPEAK}
    pending = [module]
    while pending:
        name = pending.pop()
        file = None if name in seen else _file(name, folder)
        seen.add(name)
        if file is None:
            continue
        found.add(file)
        found.update(path for path in file.parent.iterdir() if path.suffix in _BESIDE)
        pending.append(name.rpartition(".")[0])
        pending.extend(_imported(file, passed_over if name == module else frozenset()))
    return sorted(found)


def _file(name: str, folder: Path) -> Path | None:
    path = folder.joinpath(*name.split(".")[1:])
    files = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in files if file.is_file()), None)


@cache
def _imported(file: Path, passed_over: frozenset[str]) -> tuple[str, ...]:
    """Return what a file imports of the package, and every name that may be a module of it."""
    names: list[str] = []
    for node in _nodes(ast.parse(file.read_bytes()), passed_over):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(name for name in names if name.startswith(f"{PACKAGE}."))


def _nodes(node: ast.AST, passed_over: Collection[str]) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef) and child.name in passed_over:
            continue
        yield child
        yield from _nodes(child, passed_over)
