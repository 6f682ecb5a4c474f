"""Which files of the package decide what a verb makes: its own module, and all it imports.

Snakemake tracks the files that a rule names, not what Python imports from them. Imports are read
off the source text, so that no list of them can fall behind; nothing is imported here.
"""

import ast
from functools import cache
from pathlib import Path

PACKAGE = "steerability"
# they speak to people, and decide no byte of a result
_SPEAK = {
    f"{PACKAGE}.{name}" for name in ("cli", "support.console", "support.errors", "needs.overview")
}
_BESIDE = {".css", ".j2", ".js"}


@cache
def code_of(verb: str, folder: Path) -> list[Path]:
    """Return the files that decide what a verb makes, sorted.

    Args:
        verb: as on the command line.
        folder: the package's.
    """
    found: set[Path] = set()
    seen = {PACKAGE, *_SPEAK}
    pending = [f"{PACKAGE}.verbs.{verb.replace('-', '_')}"]
    while pending:
        name = pending.pop()
        file = None if name in seen else _file(name, folder)
        seen.add(name)
        if file is None:
            continue
        found.add(file)
        found.update(path for path in file.parent.iterdir() if path.suffix in _BESIDE)
        pending.append(name.rpartition(".")[0])
        pending.extend(_imported(file))
    return sorted(found)


def _file(name: str, folder: Path) -> Path | None:
    path = folder.joinpath(*name.split(".")[1:])
    files = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in files if file.is_file()), None)


@cache
def _imported(file: Path) -> tuple[str, ...]:
    """Return what a file imports of the package, and every name that may be a module of it."""
    names: list[str] = []
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(name for name in names if name.startswith(f"{PACKAGE}."))
