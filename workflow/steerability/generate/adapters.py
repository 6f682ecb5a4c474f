"""The adapters that requests declare: files read once each, then named by their digests."""

from collections.abc import Sequence
from pathlib import Path

from steerability.engine import Adapter, Adapters, Engine
from steerability.loading.engine_errors import blaming
from steerability.protocol.records import AdapterUse, Request
from steerability.support.errors import UserError


def declared(requests: Sequence[Request], engine: Engine, where: Path) -> list[Adapters]:
    """Return the adapter set of every request; the engine then knows their files.

    Adapters of strength 0 do nothing and stand in no key, but their files are checked too.

    Args:
        requests: in any order.
        engine: for the weights that the files must fit.
        where: the request file, for messages.

    Raises:
        UserError: a file is missing, broken, does not fit the weights or has another digest than
            the request says.
    """
    digests: dict[tuple[str, str], str] = {}

    def adapter(use: AdapterUse, name: str) -> Adapter:
        path = Path(use.path)
        if (use.kind, use.path) not in digests:
            with blaming(path):
                digests[use.kind, use.path] = engine.add_adapter(use.kind, path)
        found = digests[use.kind, use.path]
        if use.sha256 not in (None, found):
            raise UserError(
                f"{path} has the digest {found}, not {use.sha256}",
                where=f"{where} request {name}",
                mend="fetch the file again or correct the digest",
            )
        return Adapter(use.kind, found, use.strength, use.layers)

    return [
        Adapters.of(adapter(use, request.id) for use in request.adapters) for request in requests
    ]
