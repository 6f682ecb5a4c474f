"""YAML and JSON from outside, read one way: bounded in size and depth, plain values only.

libyaml's composer recurses without a limit and takes the process down with it, so nesting is
counted over the parser's events, which are a flat stream, before anything is composed.
"""

import json
import math
import re
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import yaml

from steerability.support.errors import UserError
from steerability.support.files import decode_text, read_bytes

MOST_BYTES = 32 << 20
MOST_DEPTH = 64
MOST_VALUES = 2_000_000
LARGEST_INTEGER = 2**53 - 1
"""What canonical JSON holds exactly (RFC 8785)."""

_MEND = "keep each key once, indent evenly, and put texts under `|-` or `>-`"
_CORE = "tag:yaml.org,2002:"
_FAULTS = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)


class StrictLoader(yaml.CSafeLoader):
    """A loader of JSON's values: texts, numbers, booleans, null, lists and mappings.

    A date stays the text that it is. A key may stand only once, and ``<<`` is a key as any other:
    merged mappings grow without a bound. NaN, infinity and integers that canonical JSON does not
    hold are refused.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return a mapping; raises as a YAML constructor does where a key stands twice."""
        seen = set()
        for key, _ in node.value:
            name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else None
            if name is None or name in seen:
                what = "a key must be a word" if name is None else f"key '{key.value}' stands twice"
                raise yaml.constructor.ConstructorError(None, None, what, key.start_mark)
            seen.add(name)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping


def _number(
    construct: Callable[[StrictLoader, Any], int | float],
) -> Callable[[StrictLoader, Any], int | float]:
    def checked(loader: StrictLoader, node: yaml.ScalarNode) -> int | float:
        shown = node.value[:40]
        try:
            value = construct(loader, node)
        except _FAULTS:
            value = math.nan
        if not math.isfinite(value):
            what = f"{shown} is no number that can be counted with"
            raise yaml.constructor.ConstructorError(None, None, what, node.start_mark)
        if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
            what = f"{shown} is larger than {LARGEST_INTEGER}"
            raise yaml.constructor.ConstructorError(None, None, what, node.start_mark)
        return value

    return checked


_PLAIN = ("null", "bool", "int", "float", "str", "seq", "map")
StrictLoader.yaml_implicit_resolvers = {
    first: [pair for pair in resolvers if pair[0].removeprefix(_CORE) in _PLAIN]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
StrictLoader.yaml_constructors = {
    tag: constructor
    for tag, constructor in yaml.CSafeLoader.yaml_constructors.items()
    if tag is None or tag.removeprefix(_CORE) in _PLAIN
}
StrictLoader.add_constructor(f"{_CORE}int", _number(yaml.CSafeLoader.construct_yaml_int))
StrictLoader.add_constructor(f"{_CORE}float", _number(yaml.CSafeLoader.construct_yaml_float))


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds; raises as ``parse_yaml`` and ``read_bytes`` do."""
    return parse_yaml(decode_text(read_bytes(path), path), path)


def parse_yaml(text: str, where: object) -> Any:
    """Return what a YAML text holds.

    Args:
        text: one document; None is returned for an empty one.
        where: what messages call it.

    Raises:
        UserError: it is not YAML, too large or too deep, repeats a key, or holds something else
            than JSON's values; names the line.
    """
    check_yaml(text, where)
    loader = StrictLoader(text)
    try:
        content = loader.get_single_data()
    except yaml.YAMLError as error:
        raise yaml_fault(error, where) from error
    except (*_FAULTS, RecursionError) as error:
        raise UserError(f"not YAML: {error}", where=where, mend=_MEND) from error
    finally:
        loader.dispose()
    check_values(content, where)
    return content


def check_yaml(text: str, where: object) -> None:
    """See that a YAML text can be composed: its size and how deep its parts nest.

    Raises:
        UserError: it is not YAML, or too large or too deep.
    """
    if len(text) > MOST_BYTES:
        raise UserError(f"longer than {MOST_BYTES:,} characters", where=where)
    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.CBaseLoader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth > MOST_DEPTH:
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise _too_deep(f"{where}:{line}")
    except yaml.YAMLError as error:
        raise yaml_fault(error, where) from error


def check_values(content: Any, where: object) -> None:
    """See that a value with everything in it, repetitions through aliases too, is bounded.

    Raises:
        UserError: it nests deeper than ``MOST_DEPTH`` or has more than ``MOST_VALUES`` parts.
    """
    parts = [(content, 1)] if isinstance(content, dict | list) else []
    count = 0
    while parts:
        value, depth = parts.pop()
        count += 1 + len(value)
        if depth > MOST_DEPTH:
            raise _too_deep(where)
        if count > MOST_VALUES:
            raise UserError(f"holds more than {MOST_VALUES:,} values", where=where)
        inside = value.values() if isinstance(value, dict) else value
        parts.extend((item, depth + 1) for item in inside if isinstance(item, dict | list))


def yaml_fault(error: yaml.YAMLError, where: object) -> UserError:
    """Return a YAML error as one line with its place."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        place = f"{where}:{mark.line + 1}" if mark else where
        return UserError(f"not YAML: {error.problem or error.context}", where=place, mend=_MEND)
    return UserError(f"not YAML: {error}", where=where, mend="save it as plain text")


def parse_json(text: str | bytes, where: object) -> Any:
    """Return what a JSON text holds; a byte order mark is passed over.

    Args:
        text: one value.
        where: what messages call it.

    Raises:
        UserError: it is not JSON, too large or too deep, repeats a key, or holds NaN, infinity, a
            lone surrogate or an integer that canonical JSON does not.
    """
    if len(text) > MOST_BYTES:
        raise UserError(f"longer than {MOST_BYTES:,} bytes", where=where)
    text = decode_text(text, where) if isinstance(text, bytes) else text.removeprefix("\ufeff")
    try:
        content = json.loads(
            text,
            object_pairs_hook=_pairs,
            parse_constant=_refuse,
            parse_int=_integer,
            parse_float=_finite,
        )
    except RecursionError as error:
        raise _too_deep(where) from error
    except ValueError as error:
        raise UserError(f"not JSON: {error}", where=where) from error
    check_values(content, where)
    if _SURROGATE.search(text) and _has_surrogate(content):
        raise UserError("holds half of a character (a lone surrogate)", where=where)
    return content


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")


def _has_surrogate(content: Any) -> bool:
    try:
        json.dumps(content, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"key {twice!r} stands twice")
    return found


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no number")


def _integer(digits: str) -> int:
    if len(digits) > 17 or abs(int(digits)) > LARGEST_INTEGER:
        raise ValueError(f"{digits[:40]} is larger than {LARGEST_INTEGER}")
    return int(digits)


def _finite(digits: str) -> float:
    if not math.isfinite(value := float(digits)):
        raise ValueError(f"{digits[:40]} is no number that can be counted with")
    return value


def _too_deep(where: object) -> UserError:
    return UserError(f"nested deeper than {MOST_DEPTH} levels", where=where, mend="make it flatter")
