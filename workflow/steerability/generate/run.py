"""A run of ``generate``: what is in the store is taken, the rest is made and stored cell by cell.

The weights' digest stands in every key. Without ``weights_sha256`` the file is hashed at the
start; with it the file is hashed only when there is something to make, before the first object
is written: what the store already holds under that digest is right whatever the file is.
"""

import errno
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from steerability.engine import Engine, engine_identity
from steerability.generate.choices import check_scores, choice_line, stored_scores
from steerability.generate.outputs import check_stored, flags, output_line, stored_value
from steerability.generate.requests import Prepared, PreparedChoice, prepare, read_requests
from steerability.generate.turns import turn_ends
from steerability.loading.engine_errors import blaming
from steerability.loading.weight_file import load_path, weights_bytes, weights_sha256
from steerability.protocol.request import ChoiceOutput, Output, Request
from steerability.support.canonical import canonical_json
from steerability.support.console import Progress
from steerability.support.errors import UserError
from steerability.support.files import write_atomic
from steerability.support.jsonl import write_records
from steerability.support.store import Store


@dataclass(frozen=True)
class Settings:
    """The options of ``generate``; see its help."""

    weights: Path
    requests: Path
    output: Path
    store: Path
    parallel: int | None = None
    threads: int | None = None
    gpu_layers: int | None = 0
    weights_sha256: str | None = None
    facts: Path | None = None


def run(settings: Settings) -> None:
    """Make the output file, and on the way every object that the store lacks.

    Raises:
        UserError: the requests, the weights or an adapter are at fault; the store is untouched,
            but for what was made before an adapter turned out to have no effect.
        OSError: no room on the disk; finished cells stay, no half object does.
    """
    started = time.monotonic()
    requests = read_requests(settings.requests)
    with (
        blaming(settings.weights),
        Engine(
            load_path(settings.weights),
            file_bytes=weights_bytes(settings.weights),
            parallel=settings.parallel,
            threads=settings.threads,
            gpu_layers=settings.gpu_layers,
        ) as engine,
    ):
        _run(settings, requests, engine, started)


def _run(settings: Settings, requests: Sequence[Request], engine: Engine, started: float) -> None:
    sha256 = settings.weights_sha256 or weights_sha256(settings.weights)
    prepared = prepare(requests, engine, sha256, settings.requests)
    store = Store(settings.store)

    def check(item: Prepared | PreparedChoice, value: Any) -> None:
        if isinstance(item, PreparedChoice):
            check_scores(value, item.job)
        else:
            check_stored(value, engine.vocabulary)

    values = {item.name: store.get(item.key, partial(check, item)) for item in prepared}
    missing = [
        item
        for item in {item.name: item for item in prepared}.values()
        if values[item.name] is None
    ]
    found = len(prepared) - sum(values[item.name] is None for item in prepared)
    if missing:
        if settings.weights_sha256:
            _check_digest(settings.weights, settings.weights_sha256)
        store.check_writable()
    texts = [(item.request, item.job) for item in prepared if isinstance(item, Prepared)]
    ends = turn_ends(texts, engine)
    unheard = [end.words for end in ends if end.words]
    progress = Progress("generate", len(missing))
    with progress:
        for words in unheard if missing else ():
            progress.say(words)
        values |= _make(missing, engine, store, progress)
    lines = [_line(item, values[item.name] or {}, engine) for item in prepared]
    write_records(settings.output, lines)
    closing = ", ".join(words for words in (flags(lines), *unheard) if words)
    progress.close_with(len(prepared), found, len(prepared) - found, closing)
    if settings.facts:
        facts = {
            "engine": engine_identity(),
            "weights_sha256": sha256,
            "wanted": len(prepared),
            "made": len(missing),
            "turn_ends": [asdict(end) for end in ends],
            "seconds": round(time.monotonic() - started, 3),
            **engine.facts(),
        }
        write_atomic(settings.facts, canonical_json(facts) + b"\n")


def _line(
    item: Prepared | PreparedChoice, value: dict[str, Any], engine: Engine
) -> Output | ChoiceOutput:
    if isinstance(item, PreparedChoice):
        return choice_line(item.request, item.job, item.name, value, truncated=item.truncated)
    return output_line(item, value, engine.vocabulary)


def _make(
    missing: Sequence[Prepared | PreparedChoice], engine: Engine, store: Store, progress: Progress
) -> dict[str, Any]:
    texts = [item for item in missing if isinstance(item, Prepared)]
    choices = [item for item in missing if isinstance(item, PreparedChoice)]
    values = {}
    for index, generation in engine.generate([item.job for item in texts], progress.tick):
        value = stored_value(generation, engine.vocabulary)
        values[texts[index].name] = _keep(texts[index].key, value, store, progress)
    for index, scores in engine.score([item.job for item in choices]):
        value = stored_scores(scores)
        values[choices[index].name] = _keep(choices[index].key, value, store, progress)
    return values


def _keep(
    key: dict[str, Any], value: dict[str, Any], store: Store, progress: Progress
) -> dict[str, Any]:
    """Store a value as soon as it is made."""
    try:
        store.put(key, value)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise OSError(
            error.errno, "no room left on the disk; make room and start again", str(store.root)
        ) from error
    progress.advance()
    return value


def _check_digest(weights: Path, wanted: str) -> None:
    actual = weights_sha256(weights)
    if actual != wanted:
        raise UserError(
            f"the weights have the digest {actual}, not {wanted}",
            where=weights,
            mend="fetch the file again or correct the digest",
        )
