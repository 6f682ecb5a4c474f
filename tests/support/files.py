"""A server of raw files on the loopback, with every fault that a fetch must live with."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote

from support.loopback import respond, serving


@dataclass
class Files:
    """Files by path; ``answers`` are statuses (with headers) given before the first good answer.

    Attributes:
        cut: bytes after which each answer is cut off; None sends all.
        cuts: how many answers are cut; -1 for all.
        ranges: whether range requests are honoured.
        shifted: a range is answered with another one.
        lengthless: no Content-Length is sent, so that a cut looks like the end.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    cut: int | None = None
    cuts: int = -1
    ranges: bool = True
    shifted: bool = False
    lengthless: bool = False
    seen: list[tuple[str, str | None]] = field(default_factory=list)
    address: str = ""


class _Handler(BaseHTTPRequestHandler):
    files: Files

    def do_GET(self) -> None:
        files = self.files
        asked = self.headers.get("Range")
        files.seen.append((self.path, asked))
        if files.answers:
            status, headers = files.answers.pop(0)
            respond(self, status, b"", headers)
            return
        content = files.files.get(unquote(self.path))
        if content is None:
            self.send_error(404)
            return
        begin = 0
        if asked and files.ranges:
            begin = int(asked.removeprefix("bytes=").partition("-")[0])
            if begin >= len(content):
                self.send_error(416)
                return
            begin -= begin if files.shifted else 0
        body = content[begin:]
        self.send_response(206 if asked and files.ranges else 200)
        if asked and files.ranges:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        if not files.lengthless:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if files.cut is not None and files.cuts and len(body) > files.cut:
            files.cuts -= 1
            body = body[: files.cut]
            self.close_connection = True
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serve_files(files: Files) -> Iterator[Files]:
    """Serve files until the block ends; ``files.address`` is the base URL."""
    with serving(type("Handler", (_Handler,), {"files": files})) as port:
        files.address = f"http://127.0.0.1:{port}"
        yield files
