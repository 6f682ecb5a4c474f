"""The address of an endpoint, checked in one place before it is kept, shown or asked."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

_SECRET = re.compile(r"(?:sk|pk|key|token)[-_][A-Za-z0-9_-]{16,}", re.IGNORECASE)
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LONGEST = 2048
_NO_SECRET = "the address stands in every key and file; name the variable of the key in key_env"


def check_address(url: str) -> str:
    """Return the base address of an endpoint as it was given.

    Args:
        url: ``http://`` or ``https://``, a host, a port or none, a path or none.

    Raises:
        ValueError: it is no such address, or holds a password, a key or a query. The words are one
            line that says what to mend, and never show the address: it may hold a secret.
    """
    if not url.isascii() or not url.isprintable() or any(mark in url for mark in ' \\"<>^`{|}'):
        raise ValueError(
            "the address holds a blank or a character that no address has; write it without, "
            "a name in other letters in its ASCII form (xn--…)"
        )
    if len(url) > _LONGEST:
        raise ValueError(f"the address has more than {_LONGEST} characters")
    if not re.match(r"https?://", url, re.IGNORECASE):
        raise ValueError("the address must begin with http:// or https://")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("the address has a port or a host that cannot be") from None
    if "@" in parts.netloc:
        raise ValueError(f"the address holds a user or a password; {_NO_SECRET}")
    if "?" in url or "#" in url:
        raise ValueError(f"the address holds a query or a fragment (?, #); {_NO_SECRET}")
    if _SECRET.search(parts.path):
        raise ValueError(f"the address seems to hold a key; {_NO_SECRET}")
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError("the address has no port after its colon; give one from 1 to 65535")
    if not _is_host(parts):
        raise ValueError("the address has no host, or one that cannot be")
    return url


def check_variable(name: str) -> str:
    """Return the name of an environment variable as it was given.

    Raises:
        ValueError: no variable can have this name. The name is not shown: it may be the key.
    """
    if not _VARIABLE.fullmatch(name):
        raise ValueError(
            "key_env is no name of an environment variable; it takes the name (letters, digits, "
            "_), not the key"
        )
    return name


def _is_host(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    if "[" in parts.netloc or ":" in host:
        try:
            ipaddress.IPv6Address(host.partition("%")[0])
        except ValueError:
            return False
        return parts.netloc.startswith("[")
    labels = host.removesuffix(".").split(".")
    if not all(_LABEL.fullmatch(label) for label in labels) or len(host) > 253:
        return False
    if all(label.isdigit() for label in labels):
        return len(labels) == 4 and all(int(label) < 256 for label in labels)
    return True
