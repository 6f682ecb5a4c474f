"""Where a model answers: its address, its name, its key, and the proxy on the way."""

import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from steerability.chat.secret import Secret
from steerability.support.address import check_address, check_variable
from steerability.support.errors import UserError


@dataclass(frozen=True)
class Endpoint:
    """Where a model answers.

    Attributes:
        url: base address, up to and including ``/v1``.
        model: the model's name there.
        key_env: environment variable that holds the API key; None sends none.
        concurrency: requests under way at once.

    Raises:
        UserError: the address cannot be, or it or ``key_env`` holds a secret.
    """

    url: str
    model: str
    key_env: str | None = None
    concurrency: int = 4

    def __post_init__(self) -> None:
        try:
            check_address(self.url)
            if self.key_env:
                check_variable(self.key_env)
        except ValueError as error:
            raise UserError(str(error), where=f"endpoint of {self.model}") from None

    @property
    def base(self) -> str:
        """The address without a slash at its end: it stands in keys."""
        return self.url.rstrip("/")

    def key(self) -> str:
        """Return the API key, empty where none is sent.

        Raises:
            UserError: the environment variable is not set, its value cannot be sent, or it stands
                in the address.
        """
        key = os.environ.get(self.key_env, "").strip() if self.key_env else ""
        if self.key_env and not key:
            raise UserError(
                f"the environment variable {self.key_env} is not set",
                where=self.model,
                mend="set it to the endpoint's key",
            )
        if not re.fullmatch(r"[\x20-\x7e]*", key):
            raise UserError(
                f"the key in {self.key_env} holds a character that no header can hold",
                where=self.model,
                mend="set it to the endpoint's key: one line of ASCII",
            )
        if any(Secret(key).stands_in(text) for text in (self.url, self.model)):
            raise UserError(
                f"the address or the model's name holds the key in {self.key_env}",
                where="endpoint",
                mend="both stand in every key and file; leave it to key_env",
            )
        return key


def proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for an address, or None.

    ``HTTP_PROXY``, ``HTTPS_PROXY`` and ``ALL_PROXY`` count, in either case; hosts that end as a
    word of ``NO_PROXY`` says are asked directly. Words of ``NO_PROXY`` that are neither a host nor
    the end of one (a range of addresses, a pattern) are passed over.

    Raises:
        UserError: the proxy is none of HTTP, or no address.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if proxy_bypass(host):
        return None
    proxies = getproxies()
    name = next((name for name in (parts.scheme.lower(), "all") if proxies.get(name)), None)
    if name is None:
        return None
    proxy = proxies[name] if "://" in proxies[name] else f"http://{proxies[name]}"
    # user and password are a proxy's own business: its address stands nowhere
    scheme, _, rest = proxy.partition("://")
    try:
        check_address(f"{scheme}://{rest.rpartition('@')[2]}")
    except ValueError:
        raise UserError(
            "the environment names a proxy that cannot be used "
            f"({scheme.lower() if re.fullmatch('[A-Za-z0-9+.-]{1,20}', scheme) else 'no address'})",
            where=f"{name.upper()}_PROXY",
            mend=f"name an http:// or https:// proxy, or add {host} to NO_PROXY",
        ) from None
    return proxy
