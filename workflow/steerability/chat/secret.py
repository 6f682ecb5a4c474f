"""What is a secret among the values of ``key_env``, and where it must not stand.

Servers of one's own take any key, so ``key_env`` often holds ``none`` or ``EMPTY``. Such a word is
no secret, and an answer that says it is stored as it is. A secret stands in no message (it is
masked there) and in no stored answer (an answer that holds it is not taken).
"""

import re

_SHORTEST = 8
_WORDS_UP_TO = 19
_MASK = "[key]"


class Secret:
    """The value of ``key_env``; empty where no key is sent.

    A value of fewer than eight characters, or of letters, hyphens and underscores alone up to
    nineteen characters (``EMPTY``, ``not-needed``, ``sk-no-key-required``), is taken for a word
    that an answer may hold.
    """

    def __init__(self, value: str) -> None:
        self._value = value
        wordy = re.fullmatch(r"[A-Za-z_-]*", value) is not None and len(value) <= _WORDS_UP_TO
        self._is_secret = len(value) >= _SHORTEST and not wordy
        # a short value that is no word is masked in messages where it stands by itself
        if self._is_secret:
            self._pattern = re.compile(re.escape(value))
        else:
            never = wordy or len(value) < 4
            self._pattern = re.compile(r"(?!)" if never else rf"(?<!\w){re.escape(value)}(?!\w)")

    def hide(self, message: str) -> str:
        """Return a message without the value."""
        return self._pattern.sub(_MASK, message)

    def stands_in(self, text: str | None) -> bool:
        """Whether a text holds the value, where that is a secret."""
        return bool(text) and self._is_secret and self._value in str(text)
