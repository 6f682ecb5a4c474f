"""A client of an OpenAI-compatible chat endpoint, with patience, many requests at once.

The API key goes into one header and nowhere else: it is taken out of whatever the endpoint sends
back before that is shown or kept.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from steerability.support.errors import UserError
from steerability.support.retry import PASSING, PassingError, patiently, retry_after

ATTEMPTS = 6
WAIT_SECONDS = 2.0
LONGEST_WAIT = 120.0
CONNECT_SECONDS = 30.0
_SHOWN = 200
_FILTERED = frozenset({"content_filter", "content_policy_violation"})

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Endpoint:
    """Where a model answers.

    Attributes:
        url: base address, up to and including ``/v1``.
        model: the model's name there.
        key_env: environment variable that holds the API key; None sends none.
        concurrency: requests under way at once.
    """

    url: str
    model: str
    key_env: str | None = None
    concurrency: int = 4

    @property
    def base(self) -> str:
        """The address without a slash at its end: it stands in keys."""
        return self.url.rstrip("/")

    def key(self) -> str:
        """Return the API key, empty where none is sent.

        Raises:
            UserError: the environment variable is not set.
        """
        key = os.environ.get(self.key_env, "").strip() if self.key_env else ""
        if self.key_env and not key:
            raise UserError(
                f"the environment variable {self.key_env} is not set",
                where=self.model,
                mend="set it to the endpoint's key",
            )
        return key


class RefusedError(Exception):
    """The endpoint refuses a request for good.

    Args:
        status: of the reply.
        code: the endpoint's error code; empty where it names none.
        words: its reason, one short line.
    """

    def __init__(self, status: int, code: str, words: str) -> None:
        super().__init__(f"the endpoint refuses (status {status}): {words}")
        self.status = status
        self.code = code
        self.words = words

    @property
    def filtered(self) -> bool:
        """Whether the endpoint's content filter is what refuses it."""
        return self.code in _FILTERED


class Client:
    """A connection to an endpoint, shared by threads."""

    def __init__(self, endpoint: Endpoint, key: str, http: httpx.Client) -> None:
        self._endpoint = endpoint
        self._key = key
        self._http = http

    def ask(self, body: Mapping[str, Any], read: Callable[[Mapping[str, Any]], _Result]) -> _Result:
        """Send a request until it is answered.

        Args:
            body: everything but the model's name.
            read: gets the reply and returns what is wanted of it; whatever it cannot find there
                (a missing entry, another type) counts as a failure that may pass.

        Raises:
            RefusedError: the endpoint refuses it.
            OSError: the endpoint keeps failing.
        """
        try:
            return patiently(
                lambda: self._post(body, read),
                attempts=ATTEMPTS,
                first=WAIT_SECONDS,
                longest=LONGEST_WAIT,
            )
        except PassingError as error:
            raise OSError(
                f"{self._endpoint.model}: {error} after {ATTEMPTS} attempts; finished cells are "
                "in the store, start again later"
            ) from None

    def _post(
        self, body: Mapping[str, Any], read: Callable[[Mapping[str, Any]], _Result]
    ) -> _Result:
        try:
            reply = self._http.post(
                f"{self._endpoint.base}/chat/completions",
                json={"model": self._endpoint.model, **body},
            )
        except httpx.TransportError as error:
            raise PassingError(f"no answer ({type(error).__name__})") from None
        if reply.status_code in PASSING:
            wait = retry_after(reply.headers.get("Retry-After", ""))
            raise PassingError(f"status {reply.status_code}", wait)
        if reply.status_code != 200:
            raise self._refusal(reply)
        try:
            return read(self._without_key(reply.json()))
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            raise PassingError("an answer that is no chat completion") from None

    def _refusal(self, reply: httpx.Response) -> RefusedError:
        code, text = "", reply.text
        try:
            error = reply.json()["error"]
            text = str(error["message"] if isinstance(error, dict) else error)
            if isinstance(error, dict):
                code = str(error.get("code") or error.get("type") or "")
        except (ValueError, KeyError, TypeError):
            pass
        words = self._without_key(" ".join(text.split()))[:_SHOWN] or "no reason given"
        return RefusedError(reply.status_code, code, words)

    def _without_key(self, value: Any) -> Any:
        if isinstance(value, str):
            return value.replace(self._key, "[key]") if self._key else value
        if isinstance(value, list):
            return [self._without_key(item) for item in value]
        if isinstance(value, dict):
            return {name: self._without_key(item) for name, item in value.items()}
        return value


def ask_each(
    endpoint: Endpoint,
    items: Iterable[_Item],
    ask: Callable[[Client, _Item], _Result],
    *,
    read_seconds: float,
) -> Iterator[tuple[_Item, _Result]]:
    """Yield each item with what is asked of it, as answers come.

    The first failure ends what has not begun.

    Args:
        endpoint: where to ask.
        items: what to ask about; nothing is asked, and no key needed, where there is none.
        ask: asks about one of them.
        read_seconds: how long the endpoint may be silent.

    Raises:
        UserError: the environment variable with the key is not set.
        RefusedError: the endpoint refuses a request.
        OSError: the endpoint keeps failing.
    """
    items = list(items)
    if not items:
        return
    key = endpoint.key()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    timeout = httpx.Timeout(CONNECT_SECONDS, read=read_seconds)
    with (
        httpx.Client(headers=headers, timeout=timeout) as http,
        ThreadPoolExecutor(endpoint.concurrency) as pool,
    ):
        client = Client(endpoint, key, http)
        jobs = {pool.submit(ask, client, item): item for item in items}
        try:
            for job in as_completed(jobs):
                yield jobs[job], job.result()
        finally:
            pool.shutdown(cancel_futures=True)
