"""Pages that hold untrusted text: nothing in them runs or loads but one script and one style."""

import base64
import hashlib
import json
from typing import Any

from markupsafe import Markup

# none of these can end a script block, open a comment in it, or break a line of JavaScript
_ESCAPES = [(mark, f"\\u{ord(mark):04x}") for mark in "<>&\u2028\u2029"]


def script_json(value: Any) -> Markup:
    """Return a value as JSON, keys sorted, that is inert inside an HTML ``script`` element."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    for mark, escape in _ESCAPES:
        text = text.replace(mark, escape)
    return Markup(text)


def content_policy(css: str, js: str) -> str:
    """Return the content security policy of a page with this style sheet and this script."""
    return (
        f"default-src 'none'; script-src '{_source(js)}'; style-src '{_source(css)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; "
        "trusted-types 'none'"
    )


def _source(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
