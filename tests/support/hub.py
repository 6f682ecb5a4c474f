"""A Hugging Face hub on the loopback, as far as the real client reads one.

Model information with file metadata, ``resolve`` addresses that redirect to a storage host (the
same server under another name, so that the client sees another origin), HEAD, GET with ranges, the
headers the client reads, and faults on demand.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from support.loopback import respond, serving

SIGNATURE = "SIGNED-8c1f"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Fault:
    """One way to fail: a status for paths that match, ``times`` times (-1: always)."""

    match: str
    status: int
    times: int = -1
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"


@dataclass
class Seen:
    """A request the server got."""

    method: str
    path: str
    range: str | None
    authorization: str | None
    sent: int = 0


@dataclass
class Hub:
    """Repositories and faults; ``address`` is what ``HF_ENDPOINT`` is set to."""

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    token: str | None = None
    gated: bool = False
    faults: list[Fault] = field(default_factory=list)
    cut_at: float | None = None
    cuts: int = 0
    hold_at: float | None = None
    held: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)
    damage: bool = False
    seen: list[Seen] = field(default_factory=list)
    address: str = ""
    port: int = 0

    def add(self, repository: str, files: dict[str, bytes]) -> None:
        self.repositories[repository] = dict(files)

    def commit(self, repository: str) -> str:
        state = json.dumps({k: sha256(v) for k, v in self.repositories[repository].items()})
        return hashlib.sha1(state.encode(), usedforsecurity=False).hexdigest()

    def gets(self) -> list[Seen]:
        """The GET requests that reached the storage host."""
        return [seen for seen in self.seen if seen.method == "GET" and "/cdn/" in seen.path]

    def sent(self) -> int:
        return sum(seen.sent for seen in self.seen)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def _serve(self) -> None:
        hub = self.hub
        seen = Seen(self.command, self.path, self.headers["Range"], self.headers["Authorization"])
        hub.seen.append(seen)
        path = urlsplit(self.path).path
        for fault in hub.faults:
            if fault.times and re.search(fault.match, path):
                fault.times -= 1
                return self._answer(fault.status, fault.body, fault.headers)
        info = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?", path)
        resolve = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        if path.startswith("/cdn/"):
            return self._storage(path.removeprefix("/cdn/"), seen)
        found = info or resolve
        if found is None:
            return self._answer(404, b"{}", {})
        if hub.token and self.headers["Authorization"] != f"Bearer {hub.token}":
            if hub.gated:
                status = 403 if self.headers["Authorization"] else 401
                return self._answer(status, b"{}", {"X-Error-Code": "GatedRepo"})
            return self._answer(401, b'{"error":"Invalid username or password."}', {})
        if found[1] not in hub.repositories:
            return self._answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        commit = hub.commit(found[1])
        if found[2] not in (None, "main", commit):
            return self._answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        files = hub.repositories[found[1]]
        if info:
            blobs = "blobs" in parse_qs(urlsplit(self.path).query)
            return self._answer(200, json.dumps(_info(found[1], commit, files, blobs)).encode(), {})
        content = files.get(found[3])
        if content is None:
            return self._answer(
                404, b"{}", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}
            )
        headers = {
            "X-Repo-Commit": commit,
            "X-Linked-Etag": f'"{sha256(content)}"',
            "X-Linked-Size": str(len(content)),
            "ETag": '"pointer"',
            "Location": f"http://localhost:{hub.port}/cdn/{found[1]}/{found[3]}?X-Sig={SIGNATURE}",
        }
        return self._answer(302, b"", headers)

    def _storage(self, name: str, seen: Seen) -> None:
        hub = self.hub
        owner, repository, file = name.split("/", 2)
        content = hub.repositories[f"{owner}/{repository}"][file]
        if hub.damage:
            content = content[:-1] + bytes([content[-1] ^ 1])
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", seen.range or "")
        start = int(wanted[1]) if wanted else 0
        end = min(int(wanted[2]) + 1 if wanted and wanted[2] else len(content), len(content))
        if start >= len(content):
            return self._answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        headers = {"Accept-Ranges": "bytes", "ETag": f'"{sha256(content)}"'}
        if wanted:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
        self.send_response(206 if wanted else 200)
        for key, value in (headers | {"Content-Length": str(end - start)}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        stop = end
        if hub.cut_at is not None and hub.cuts > 0:
            hub.cuts -= 1
            stop = max(start, int(len(content) * hub.cut_at))
        if hub.hold_at is not None:
            stop = max(start, int(len(content) * hub.hold_at))
        try:
            self.wfile.write(content[start:stop])
            seen.sent = stop - start
            self.wfile.flush()
            if hub.hold_at is not None:
                hub.held.set()
                hub.release.wait(60)
        except (BrokenPipeError, ConnectionResetError):
            pass
        if stop < end:
            self.close_connection = True

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        respond(self, status, body, {"Content-Type": "application/json"} | headers)


def _info(name: str, commit: str, files: dict[str, bytes], blobs: bool) -> dict[str, Any]:
    siblings: list[dict[str, Any]] = []
    for file, content in files.items():
        sibling: dict[str, Any] = {"rfilename": file}
        if blobs:
            sibling["size"] = len(content)
            sibling["blobId"] = sha256(content)[:40]
            if file.endswith(".gguf"):
                sibling["lfs"] = {
                    "sha256": sha256(content),
                    "size": len(content),
                    "pointerSize": 135,
                }
        siblings.append(sibling)
    return {
        "_id": "0",
        "id": name,
        "modelId": name,
        "sha": commit,
        "private": False,
        "disabled": False,
        "gated": False,
        "tags": [],
        "downloads": 0,
        "likes": 0,
        "siblings": siblings,
    }


@contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    """Serve a hub on a free port of the loopback."""
    with serving(type("Handler", (_Handler,), {"hub": hub})) as port:
        hub.port, hub.address = port, f"http://127.0.0.1:{port}"
        try:
            yield hub
        finally:
            hub.release.set()
