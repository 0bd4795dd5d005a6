"""A line of text that a person gives: a reason, a name. It stands in logs, on terminals and on pages."""

from __future__ import annotations

import unicodedata

from recsys.errors import ArgumentError

LONGEST_REASON = 500
"""Signs of a reason."""
LONGEST_NAME = 128
"""Signs of a name: of a person, or of a release."""

_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Signs that turn the direction of what follows: the message would read otherwise than it is."""


def checked_reason(text: str) -> str:
    """Return a reason that is one line of text, and not blank.

    Raises
    ------
    ArgumentError
        If it is not.
    """
    return _plain_line("the reason", text, LONGEST_REASON)


def checked_name(text: str) -> str:
    """Return a name that is one line of text, and not blank; otherwise as :func:`checked_reason`."""
    return _plain_line("the name", text, LONGEST_NAME)


def _plain_line(what: str, text: str, longest: int) -> str:
    if not text.strip():
        raise ArgumentError(f"{what} is blank: say it in words")
    if len(text) > longest:
        raise ArgumentError(f"{what} has {len(text):,} signs, and at most {longest} are kept: shorten it")
    for sign in text:
        if unicodedata.category(sign) in {"Cc", "Cs", "Zl", "Zp"} or sign in _TURNING:
            raise ArgumentError(
                f"{what} holds {sign!a}, a line break, a control sign or no UTF-8: say it in one line of text"
            )
    return text
