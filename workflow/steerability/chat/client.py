"""A client of an OpenAI-compatible chat endpoint, with patience, many requests at once.

The API key goes into one header and nowhere else: it is taken out of every message, and an answer
that holds it is not taken.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import httpx

from steerability.chat.endpoint import Endpoint, proxy_for
from steerability.chat.filters import Refusal, is_html, one_line, read_refusal
from steerability.chat.pool import MOST_AT_ONCE, StoppedError, run_each
from steerability.chat.reply import (
    LARGEST_REPLY,
    ErrorReplyError,
    NoChoiceError,
    Reply,
    UnreadableError,
    kept_back,
    read_reply,
)
from steerability.chat.secret import Secret
from steerability.protocol.request import FILTERED, REFUSED
from steerability.support.errors import UserError
from steerability.support.retry import PASSING, PassingError, patiently, retry_after

__all__ = ["Client", "Endpoint", "RefusedError", "ask_each"]

ATTEMPTS = 6
CHOICE_ATTEMPTS = 3
WAIT_SECONDS = 2.0
LONGEST_WAIT = 120.0
CONNECT_SECONDS = 30.0
_LARGEST_ERROR = 64 * 2**10
# the key, the bill, the name: such a refusal holds for every request
_OF_ALL = frozenset({401, 402, 404, 405, 407, 410})
_PROBE = ({"role": "user", "content": "Answer with the word ready."},)

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class RefusedError(Exception):
    """The endpoint refuses whatever it is asked.

    Args:
        status: of the reply.
        words: its reason, one short line.
    """

    def __init__(self, status: int, words: str) -> None:
        said = f"the endpoint refuses (status {status}): {words}"
        super().__init__(said if status != 200 else f"the endpoint refuses: {words}")
        self.status = status
        self.words = words


class _UnreadableAnswerError(PassingError):
    """An answer that cannot be taken, though the endpoint says that all is well."""


class Client:
    """A connection to an endpoint, shared by threads.

    Args:
        endpoint: where to ask.
        key: the API key, empty for none.
        http: the connection.
        read_seconds: how long an answer may be silent; twice that long it may take in all.
        stop: set once no answer is wanted any more; nothing waits or is sent from then on.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        key: str,
        http: httpx.Client,
        *,
        read_seconds: float,
        stop: threading.Event,
    ) -> None:
        self._endpoint = endpoint
        self._secret = Secret(key)
        self._http = http
        self._longest = 2 * read_seconds
        self._stop = stop

    def ask(self, body: Mapping[str, Any]) -> Reply:
        """Send a request until it is answered.

        Where the endpoint refuses it, or keeps answering it with what is no completion, a short
        request with the same settings tells whether it answers at all. If it does, the refusal is
        this one request's reply: ``refused``. A content filter's is ``content_filter``.

        Args:
            body: everything but the model's name.

        Raises:
            RefusedError: the endpoint refuses whatever it is asked.
            OSError: the endpoint keeps failing.
        """
        try:
            return self._patiently(body)
        except RefusedError as error:
            if error.status in _OF_ALL or not self._answers(body):
                raise
            return kept_back(error.words, REFUSED)
        except PassingError as error:
            if isinstance(error, _UnreadableAnswerError) and self._answers(body):
                return kept_back(str(error), REFUSED)
            raise OSError(
                f"{self._endpoint.model}: {error} after {ATTEMPTS} attempts; finished cells are "
                "in the store, start again later"
            ) from None

    def _patiently(self, body: Mapping[str, Any]) -> Reply:
        without_choice = 0

        def attempt() -> Reply:
            nonlocal without_choice
            if self._stop.is_set():
                raise StoppedError
            try:
                return self._once(body)
            except NoChoiceError as error:
                without_choice += 1
                if without_choice == CHOICE_ATTEMPTS:
                    return kept_back(f"{CHOICE_ATTEMPTS} answers {error}")
                raise _UnreadableAnswerError(f"an answer {error}") from None

        return patiently(
            attempt,
            attempts=ATTEMPTS,
            first=WAIT_SECONDS,
            longest=LONGEST_WAIT,
            sleep=self._pause,
        )

    def _pause(self, seconds: float) -> None:
        self._stop.wait(seconds)

    def _answers(self, body: Mapping[str, Any]) -> bool:
        """Whether the endpoint answers a plain question that has the same settings."""
        try:
            reply = self._patiently({**body, "messages": list(_PROBE)})
        except (PassingError, RefusedError):
            return False
        return reply.refusal is None

    def _once(self, body: Mapping[str, Any]) -> Reply:
        status, wait, content = self._post(body)
        if status == 200 and not is_html(content):
            try:
                return self._taken(read_reply(content))
            except NoChoiceError:
                raise
            except UnreadableError as error:
                raise _UnreadableAnswerError(f"an answer {error}") from None
            except ErrorReplyError as error:
                refusal = error.refusal
                if refusal.status == 200 and not refusal.filtered:
                    words = self._secret.hide(refusal.words) or "no reason given"
                    raise _UnreadableAnswerError(f"an error for an answer: {words}") from None
        else:
            refusal = read_refusal(status, content)
        return self._refused(refusal, wait)

    def _refused(self, refusal: Refusal, wait: float | None) -> Reply:
        words = self._secret.hide(refusal.words) or "no reason given"
        if refusal.filtered:
            return kept_back(words, FILTERED)
        if refusal.status in PASSING:
            raise PassingError(f"status {refusal.status}", wait)
        if refusal.status // 100 == 3:
            words = "it sends to another address; name that one as url"
        raise RefusedError(refusal.status, words)

    def _taken(self, reply: Reply) -> Reply:
        texts = (reply.text, reply.thinking, reply.served_by)
        if any(map(self._secret.stands_in, texts)):
            raise _UnreadableAnswerError("an answer that holds the key")
        return reply

    def _post(self, body: Mapping[str, Any]) -> tuple[int, float | None, bytes]:
        """Send a request; return status, seconds that are asked to wait, and the body."""
        sent = json.dumps({"model": self._endpoint.model, **body}, ensure_ascii=False)
        try:
            with self._http.stream(
                "POST",
                f"{self._endpoint.base}/chat/completions",
                content=sent.encode("utf-8"),
            ) as answer:
                wait = retry_after(answer.headers.get("Retry-After", ""))
                return answer.status_code, wait, self._body(answer)
        except (httpx.UnsupportedProtocol, httpx.InvalidURL):
            raise RefusedError(200, "the address is none that can be asked") from None
        except httpx.DecodingError:
            raise _UnreadableAnswerError("an answer that cannot be unpacked") from None
        except httpx.TransportError as error:
            raise PassingError(f"no answer ({type(error).__name__})") from None

    def _body(self, answer: httpx.Response) -> bytes:
        """Read a body as far as it counts: of an error its beginning, of a reply all of it."""
        fine = answer.status_code == 200
        limit = LARGEST_REPLY if fine else _LARGEST_ERROR
        until = time.monotonic() + self._longest
        content = bytearray()
        for part in answer.iter_bytes():
            content += part
            if len(content) > limit:
                if fine:
                    raise _UnreadableAnswerError(f"an answer of more than {limit:,} bytes")
                break
            if time.monotonic() > until:
                raise PassingError(f"no whole answer in {self._longest:.0f} s")
        return bytes(content[:limit])


def ask_each(
    endpoint: Endpoint,
    items: Iterable[_Item],
    ask: Callable[[Client, _Item], _Result],
    *,
    read_seconds: float,
) -> Iterator[tuple[_Item, _Result]]:
    """Yield each item with what is asked of it, as answers come.

    The first failure, or an interrupt, ends what has not begun; what is under way may arrive for
    a while and is yielded before the failure is raised (``pool.run_each``).

    Args:
        endpoint: where to ask.
        items: what to ask about; nothing is asked, and no key needed, where there is none.
        ask: asks about one of them.
        read_seconds: how long the endpoint may be silent.

    Raises:
        UserError: the environment variable with the key is not set, or a proxy cannot be used.
        RefusedError: the endpoint refuses whatever it is asked.
        OSError: the endpoint keeps failing.
        KeyboardInterrupt: somebody interrupts.
    """
    items = list(items)
    if not items:
        return
    key = endpoint.key()
    stop = threading.Event()
    http = _connection(endpoint, key, read_seconds)
    client = Client(endpoint, key, http, read_seconds=read_seconds, stop=stop)
    yield from run_each(
        items, lambda item: ask(client, item), at_once=endpoint.concurrency, stop=stop
    )
    # after a failure threads may still wait for the endpoint: their connections end with them
    http.close()


def shown_name(served_by: str | None) -> str:
    """Return the name of the model that answered as it can stand in a message."""
    return one_line(served_by)[:100] if served_by else "a model without a name"


def _connection(endpoint: Endpoint, key: str, read_seconds: float) -> httpx.Client:
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
    headers |= {"Authorization": f"Bearer {key}"} if key else {}
    at_once = min(endpoint.concurrency, MOST_AT_ONCE)
    try:
        return httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(CONNECT_SECONDS, read=read_seconds),
            limits=httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once),
            proxy=proxy_for(endpoint.base),
            verify=httpx.create_ssl_context(),
            trust_env=False,
        )
    except (ValueError, httpx.InvalidURL):
        raise UserError(
            "the environment names a proxy that cannot be used",
            where=endpoint.model,
            mend="correct HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, or unset them",
        ) from None
