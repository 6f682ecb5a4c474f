"""Options of verbs, as rules pass them: quoted for the shell."""

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from steerability.config.catalogue import ApiJudge, EndpointModel


def repeat(option: str, values: Iterable[object]) -> str:
    """Return an option before each of its values, quoted for the shell."""
    return shlex.join(word for value in values for word in (option, str(value)))


def endpoint_options(entry: EndpointModel) -> str:
    """Return the options of the verb ``query`` for an endpoint."""
    words = ["--url", entry.url, "--model", entry.model, "--limit-field", entry.limit_field]
    words += ["--concurrency", str(entry.concurrency)]
    return shlex.join(words + (["--key-env", entry.key_env] if entry.key_env else []))


def judge_options(entry: Any, home: Path, weights: str | None, trained: Iterable[str]) -> str:
    """Return the options of the verb ``judge`` for a judge of the catalogue.

    Args:
        entry: the judge.
        home: the repository, which its rubric is relative to.
        weights: the file of its weights, where it has any.
        trained: of a trained judge its file and, where there are any, its held-out labels.
    """
    rubric = getattr(entry, "rubric", None)
    words = ["--definition", str(home / rubric)] if rubric else []
    words += ["--weights", weights] if weights else []
    if isinstance(entry, ApiJudge):
        words += ["--url", entry.url, "--model", entry.model, "--parallel", str(entry.concurrency)]
        words += ["--key-env", entry.key_env] if entry.key_env else []
        for option in ("prompt_price", "completion_price"):
            price = getattr(entry, option)
            words += [f"--{option.replace('_', '-')}", str(price)] if price is not None else []
    for option, path in zip(("--weights", "--held-out"), trained, strict=False):
        words += [option, path]
    words += ["--blind"] if getattr(entry, "blind", False) else []
    return shlex.join(words)
