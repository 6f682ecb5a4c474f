"""Chat templates rendered in a process of their own, under limits (see ``template_child``)."""

import atexit
import json
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from steerability.engine import template_child
from steerability.engine.errors import EngineError, PromptError
from steerability.engine.vocabulary import Vocabulary

Message = Mapping[str, str]

# Against a machine that does not get on at all; what a template may take is processor time.
_PATIENCE = 300.0
_LARGEST_TEMPLATE = 1 << 20


class RefusedError(PromptError):
    """The template itself refuses the messages (``raise_exception``)."""


@dataclass(frozen=True)
class Rendered:
    """What a template makes of one conversation: a text, or why there is none.

    Attributes:
        text: the rendering; None where it failed.
        error: why.
        refused: the template itself refused the messages.
    """

    text: str | None
    error: str = ""
    refused: bool = False

    def or_raise(self) -> str:
        """Return the text.

        Raises:
            RefusedError: the template refused the messages.
            PromptError: it failed.
        """
        if self.text is not None:
            return self.text
        kind = RefusedError if self.refused else PromptError
        raise kind(f"the chat template cannot be rendered: {self.error}")


class _Child:
    """The process, started when it is first asked and again after it ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        line = json.dumps(request).encode("ascii") + b"\n"
        with self._lock:
            process = self._started()
            assert process.stdin is not None and process.stdout is not None
            try:
                process.stdin.write(line)
                process.stdin.flush()
                reply = process.stdout.readline() if _has_word(process.stdout) else b""
            except BrokenPipeError:
                reply = b""
            except BaseException:
                self.close()
                raise
            if not reply.endswith(b"\n"):
                status = self.close()
                raise PromptError(_ended(status))
        parsed: dict[str, Any] = json.loads(reply)
        return parsed

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", str(Path(template_child.__file__))],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
            except OSError as error:
                raise EngineError(f"no process for chat templates: {error.strerror}") from error
        return self._process

    def close(self) -> int:
        """End the process and return its status."""
        process, self._process = self._process, None
        if process is None:
            return 0
        try:
            # one that is ending by itself tells why
            process.wait(0.5)
        except subprocess.TimeoutExpired:
            process.kill()
        for pipe in (process.stdin, process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:
                pass
        return process.wait()


def _has_word(pipe: IO[bytes]) -> bool:
    waiting = select.poll()
    waiting.register(pipe, select.POLLIN | select.POLLHUP)
    return bool(waiting.poll(_PATIENCE * 1000))


_child = _Child()


@atexit.register
def _stop() -> None:
    if _child._process is not None:
        _child._process.kill()
        _child._process.wait()


def _ended(status: int) -> str:
    if status == -signal.SIGPROF:
        return f"the chat template does not end within {template_child.SECONDS:.0f} s"
    return "the chat template breaks the process that renders it"


def variables(vocabulary: Vocabulary) -> dict[str, Any]:
    """Return what a template is told besides the messages, as by ``transformers``.

    Args:
        vocabulary: names the special tokens.
    """
    return {
        "add_generation_prompt": True,
        **vocabulary.named,
        "tools": None,
        "documents": None,
    }


def render_all(
    template: str,
    chats: Sequence[Sequence[Message]],
    told: Mapping[str, Any],
    renamed: Mapping[str, str] | None = None,
) -> tuple[list[Rendered], list[str]]:
    """Render one template over several conversations.

    Args:
        template: Jinja source.
        chats: conversations of messages with ``role`` and ``content``.
        told: the template's other variables.
        renamed: texts for the template to look for in place of others.

    Returns:
        One outcome per conversation, and the texts that the template looks for in a message.

    Raises:
        PromptError: the template is no Jinja, or goes beyond its limits.
    """
    if len(template) > _LARGEST_TEMPLATE:
        raise PromptError(f"the chat template has more than {_LARGEST_TEMPLATE:,} characters")
    plain = [[dict(message) for message in chat] for chat in chats]
    request = {"template": template, "chats": plain, "variables": dict(told)}
    reply = _child.ask(request | ({"renamed": dict(renamed)} if renamed else {}))
    if "error" in reply:
        raise PromptError(f"the chat template cannot be rendered: {reply['error']}")
    texts = [
        Rendered(one.get("text"), one.get("error", ""), one.get("refused", False))
        for one in reply["texts"]
    ]
    return texts, reply["looked_for"]


def render(template: str, messages: Sequence[Message], vocabulary: Vocabulary) -> str:
    """Return the text a chat template makes of messages, with the assistant's turn opened.

    Args:
        template: Jinja source, rendered as ``transformers`` does.
        messages: mappings with ``role`` and ``content``.
        vocabulary: gives the template its special tokens.

    Raises:
        PromptError: the template is broken, refuses the messages or goes beyond its limits.
    """
    texts, _ = render_all(template, [messages], variables(vocabulary))
    return texts[0].or_raise()
