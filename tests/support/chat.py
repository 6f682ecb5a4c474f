"""An OpenAI-compatible chat endpoint on the loopback that echoes the last message."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from support.loopback import respond, serving


def completion(message: Any = None, finish: Any = "stop", **more: Any) -> dict[str, Any]:
    """Return the body of a chat completion."""
    return {
        "model": "m-0101",
        "choices": [{"message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3},
    } | more


@dataclass(frozen=True)
class Step:
    """An answer in place of the echo.

    Attributes:
        body: JSON, or the very bytes; of a list one item a request, the last one ever after.
        status: of HTTP.
        headers: besides the length.
        seconds: to be silent before it.
        endless: the body again and again, without a length, until the client goes away.
    """

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    endless: bool = False


@dataclass
class Chat:
    """An endpoint that echoes; statuses are answered first, one per request.

    Attributes:
        to: what is answered to a last message, by its text, whenever it is asked.
        begun: how many requests have come, answered or not.
        sent: bytes of endless answers that the clients took.
    """

    statuses: list[int] = field(default_factory=list)
    answer: dict[str, Any] = field(default_factory=dict)
    finish: Any = "stop"
    code: str | None = None
    to: dict[str, Step] = field(default_factory=dict)
    seen: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    url: str = ""
    begun: int = 0
    sent: int = 0

    def asked(self, text: str) -> int:
        """Return how often a last message was answered with status 200."""
        return sum(body["messages"][-1]["content"] == text for body in self.seen)


@contextmanager
def serve_chat() -> Iterator[Chat]:
    """Serve an endpoint on a free port."""
    state = Chat()
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.keys.append(self.headers["Authorization"])
            state.begun += 1
            asked = body["messages"][-1]["content"]
            if asked in state.to:
                self.take(state.to[asked], body)
                return
            status = state.statuses.pop(0) if state.statuses else 200
            message = {"content": f"echo {asked}", **state.answer}
            reply = completion(message, state.finish, model=f"{body['model']}-0101")
            if status == 200:
                state.seen.append(body)
            else:
                reply = {"error": {"message": f"no\nfor {status}", "code": state.code}}
            respond(self, status, json.dumps(reply).encode())

        def take(self, step: Step, body: dict[str, Any]) -> None:
            ended.wait(step.seconds)
            if step.status == 200:
                state.seen.append(body)
            sent = step.body
            if isinstance(sent, list):
                sent = sent.pop(0) if len(sent) > 1 else sent[0]
            raw = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
            with suppress(OSError):
                if not step.endless:
                    respond(self, step.status, raw, step.headers)
                    return
                self.send_response(step.status)
                self.end_headers()
                self.close_connection = True
                while not ended.is_set():
                    state.sent += self.wfile.write(raw)

    with serving(Handler) as port:
        state.url = f"http://127.0.0.1:{port}/v1"
        try:
            yield state
        finally:
            ended.set()


def wait_until(true: Any, seconds: float = 20.0) -> None:
    """Wait until a condition holds, or fail."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.01)
