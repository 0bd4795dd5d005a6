"""The token that requests must bring, where the server has one."""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING

from recsys.errors import ConfigError
from recsys.service.open_routes import OPEN
from recsys.service.responses import problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

VARIABLE = "RECSYS_SERVE_TOKEN"
"""Environment variable that holds the token."""
MIN_LENGTH = 16
"""Shorter tokens are refused: they can be guessed."""

_FORM = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""What RFC 6750 lets a bearer token be."""


def token_from_environment(environ: Mapping[str, str]) -> str | None:
    """Return the token, or None where the variable is unset or empty.

    Raises
    ------
    ConfigError
        If it is too short, or holds signs that no bearer token may have; the message does not show it.
    """
    token = environ.get(VARIABLE, "")
    if not token:
        return None
    if len(token) < MIN_LENGTH:
        raise ConfigError(
            f"{VARIABLE} has {len(token)} signs; a token needs at least {MIN_LENGTH}, better 32 random ones"
        )
    if not _FORM.fullmatch(token):
        raise ConfigError(
            f"{VARIABLE} holds a sign that no bearer token may have; take letters, digits and . _ ~ + / -, "
            "such as `openssl rand -hex 32` prints"
        )
    return token


class Guarded:
    """Lets requests pass that bring the token; open routes are for everybody.

    Parameters
    ----------
    app
        What answers.
    token
        What ``Authorization: Bearer`` must bring.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it with 401."""
        if scope["path"] in OPEN or self._is_right(scope):
            await self._app(scope, receive, send)
            return
        message = "this server asks for its token: send the header `Authorization: Bearer TOKEN`"
        refused = problem("NotAuthorized", message, 401, {"WWW-Authenticate": 'Bearer realm="recsys"'})
        await refused(scope, receive, send)

    def _is_right(self, scope: Scope) -> bool:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(given) != 1:
            return False
        kind, _, token = given[0].partition(b" ")
        return kind.lower() == b"bearer" and hmac.compare_digest(token.strip(), self._token)
