"""What the service sends back: JSON, refusals, and answers that say which release they come from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from fastapi import Response

from recsys.service.exchange import exchange_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.types import Receive, Scope, Send

ONLY_THEIRS = "private, no-cache"
"""Caching of an answer: by whoever asked alone, who asks each time whether it still holds."""


def json_response(
    values: Mapping[str, object], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return values as a JSON answer."""
    return Response(_encoded(values), status, headers, media_type="application/json")


def problem(error: str, message: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Return a refusal, in the form that all have."""
    return json_response({"error": error, "message": message}, status, headers)


class Answered(Response):
    """An answer of a release.

    Parameters
    ----------
    values
        What it says; ``release`` names the release, and ``games``, where it lists some, are what is shown.
    """

    media_type = "application/json"

    def __init__(self, values: Mapping[str, object]) -> None:
        self.release = str(values["release"])
        games: Iterable[Mapping[str, object]] = values.get("games", ())  # type: ignore[assignment]
        self.shown = [str(game["game_id"]) for game in games]
        super().__init__(_encoded(values), headers={"Cache-Control": ONLY_THEIRS})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, and note what it shows."""
        exchange = exchange_of(scope)
        exchange.release, exchange.shown = self.release, self.shown
        exchange.etag = self.headers.get("etag", "")
        await super().__call__(scope, receive, send)


def _encoded(values: Mapping[str, object]) -> bytes:
    content = json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # A lone surrogate, which an argument may hold, has no place in UTF-8.
    return content.encode("utf-8", "replace")
