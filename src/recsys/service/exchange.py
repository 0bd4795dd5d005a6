"""One request and what became of it, as the metrics and the access log have it."""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping
    from typing import Any

_KEY = "recsys.exchange"
_SANE = re.compile(rb"[A-Za-z0-9._~:+/=@-]{1,128}")
"""A request id that is taken over: it stands in headers and logs as it is."""


@dataclass
class Exchange:
    """One request and its answer; filled in as it passes through the service.

    Attributes
    ----------
    request_id
        The client's own where it is sane, else made here.
    method
        As it was asked.
    started
        By ``time.perf_counter``.
    route
        The path of the route that answers, its parameters in braces; empty where none was reached.
    user, scenario
        As they were asked for; None where they were not.
    release
        Whose answer it is; None for what no release answers.
    etag
        What tells the answer from that of another release; empty where there is none.
    shown
        Ids of the games in the answer, best first, as texts.
    status
        Of the answer; 500 until one begins.
    """

    request_id: str
    method: str
    started: float = field(default_factory=time.perf_counter)
    route: str = ""
    user: str | None = None
    scenario: str | None = None
    release: str | None = None
    etag: str = ""
    shown: list[str] = field(default_factory=list)
    status: int = 500

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.perf_counter() - self.started


def begin(scope: MutableMapping[str, Any]) -> Exchange:
    """Begin the exchange of a request, kept in its scope."""
    exchange = Exchange(request_id(scope["headers"]), scope["method"])
    scope[_KEY] = exchange
    return exchange


def exchange_of(scope: MutableMapping[str, Any]) -> Exchange:
    """Return the exchange of a request; one of its own where none was begun."""
    return scope.get(_KEY) or begin(scope)


def request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the id that a request brings, or a new one: 32 hex digits."""
    given = next((value for name, value in headers if name == b"x-request-id"), b"")
    return given.decode() if _SANE.fullmatch(given) else secrets.token_hex(16)
