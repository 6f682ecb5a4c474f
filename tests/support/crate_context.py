"""The RO-Crate 1.1 context, as the ``rocrate`` package ships it, in the validator's HTTP cache.

``python crate_context.py CACHE``, then ``rocrate-validator validate --offline --cache-path CACHE``:
the validator reads the context that a crate names, and CI has no way to its address.
"""

import io
import json
import sys
from importlib.resources import files
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests_cache import CachedSession
from urllib3 import HTTPResponse


class Shipped(HTTPAdapter):
    """Answers every request with the bytes it was given."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.content = content

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        body = HTTPResponse(
            body=io.BytesIO(self.content),
            headers={"Content-Type": "application/ld+json"},
            status=200,
            preload_content=False,
            request_url=request.url,
        )
        return self.build_response(request, body)


def fill(cache: str) -> None:
    """Store the context under its address in a cache that the validator opens by this name."""
    content = (files("rocrate") / "data" / "ro-crate.jsonld").read_bytes()
    address = json.loads(content)["@id"]
    session = CachedSession(cache, backend="sqlite", expire_after=-1)
    session.mount(address, Shipped(content))
    session.get(address).raise_for_status()


if __name__ == "__main__":
    fill(sys.argv[1])
