"""Reading config files and checking them."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from steerability.config.model import Config
from steerability.support import documents
from steerability.support.errors import UserError
from steerability.support.jsonl import explain


def merge(base: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``overlay`` laid over it: mappings key by key, all else replaced.

    The same as Snakemake does with several ``--configfile``.
    """
    merged = dict(base)
    for key, value in overlay.items():
        old = merged.get(key)
        merged[key] = (
            merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
        )
    return merged


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one YAML file that must hold a mapping.

    Raises:
        UserError: it cannot be read, is not UTF-8, not YAML (``documents.parse_yaml``) or not a
            mapping.
    """
    content = documents.read_yaml(path)
    if not isinstance(content, dict):
        raise UserError("must hold a mapping of keys", where=path)
    return content


def read_yaml_list(path: Path) -> list[Any]:
    """Read one YAML file that must hold a list.

    Raises:
        UserError: it cannot be read, is not UTF-8, not YAML or not a list.
    """
    content = documents.read_yaml(path)
    if not isinstance(content, list):
        raise UserError("must hold a list", where=path)
    return content


def load_config(paths: list[Path]) -> Config:
    """Merge config files in order and check the whole.

    Raises:
        UserError: a file or a value is wrong.
    """
    merged: dict[str, Any] = {}
    for path in paths:
        merged = merge(merged, read_yaml(path))
    return check_config(merged, where=", ".join(str(path) for path in paths))


def check_config(content: dict[str, Any], *, where: object = "config") -> Config:
    """Check a merged config.

    Args:
        content: the merged mapping, as Snakemake or ``load_config`` has it.
        where: what to name in the error.

    Raises:
        UserError: a key is unknown, a type wrong or a name not defined.
    """
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        raise UserError(
            explain(error), where=where, mend="docs/config.md lists every key and its type"
        ) from error
