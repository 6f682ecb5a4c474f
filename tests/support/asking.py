"""A folder from which an endpoint on the loopback is asked, by the command line."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import steerability
from steerability.cli import run
from support.chat import Chat

KEY = "sk-secret-of-the-tests"


class Place:
    """Requests, store and output of ``query`` in one folder."""

    def __init__(self, folder: Path, chat: Chat) -> None:
        self.folder, self.chat = folder, chat

    def words(self, *more: str, count: int = 3, **request: Any) -> list[str]:
        """Write requests that ask q0, q1, … and return the words of the command line."""
        lines = [
            {"id": f"r{n}", "messages": [{"role": "user", "content": f"q{n}"}], "max_tokens": 9}
            | request
            for n in range(count)
        ]
        (self.folder / "r.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        words = ["query", "--url", self.chat.url, "--model", "m", "--key-env", "TEST_KEY"]
        words += ["--requests", self.folder / "r.jsonl", "--output", self.folder / "o.jsonl"]
        words += ["--store", self.folder / "store", "--facts", self.folder / "facts.json", *more]
        return list(map(str, words))

    def ask(self, *more: str, count: int = 3, **request: Any) -> int:
        return run(self.words(*more, count=count, **request))

    def start(self, *more: str, count: int = 3) -> "subprocess.Popen[str]":
        """Start the same in a process of its own."""
        words = [sys.executable, "-m", "steerability", *self.words(*more, count=count)]
        package = Path(steerability.__file__).parents[1]
        return subprocess.Popen(
            words,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"TEST_KEY": KEY, "PYTHONPATH": str(package)},
            # a shell that starts the tests behind it lets them ignore interrupts
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    def lines(self) -> list[dict[str, Any]]:
        text = (self.folder / "o.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def objects(self) -> list[Path]:
        return sorted((self.folder / "store" / "sha256").rglob("*.json"))

    def stored(self) -> dict[str, Any]:
        """Return what is stored, by the last message that was asked."""
        found = [json.loads(path.read_text()) for path in self.objects()]
        return {one["key"]["messages"][-1]["content"]: one["value"] for one in found}
