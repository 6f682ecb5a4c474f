"""An OpenAI-compatible chat endpoint on the loopback that echoes the last message."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from support.loopback import respond, serving


@dataclass
class Chat:
    """An endpoint that echoes; statuses are answered first, one per request."""

    statuses: list[int] = field(default_factory=list)
    answer: dict[str, Any] = field(default_factory=dict)
    finish: Any = "stop"
    code: str | None = None
    seen: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    url: str = ""


@contextmanager
def serve_chat() -> Iterator[Chat]:
    """Serve an endpoint on a free port."""
    state = Chat()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.keys.append(self.headers["Authorization"])
            status = state.statuses.pop(0) if state.statuses else 200
            text = f"echo {body['messages'][-1]['content']}"
            reply: dict[str, Any] = {
                "model": f"{body['model']}-0101",
                "choices": [
                    {
                        "message": {"content": text, **state.answer},
                        "finish_reason": state.finish,
                    }
                ],
                "usage": {"prompt_tokens": 7, "completion_tokens": 3},
            }
            if status == 200:
                state.seen.append(body)
            else:
                reply = {"error": {"message": f"no\nfor {status}", "code": state.code}}
            respond(self, status, json.dumps(reply).encode())

    with serving(Handler) as port:
        state.url = f"http://127.0.0.1:{port}/v1"
        yield state
