"""What is seen of each request: its id in the answer, its metrics, its line in the access log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsys.service.exchange import begin

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from recsys.service.access_log import AccessLog
    from recsys.service.metrics import Metrics


class Observed:
    """Gives every answer the id of its request, counts it and logs it; nothing is answered outside of this.

    Parameters
    ----------
    app
        What answers.
    metrics
        Counts.
    access_log
        Takes a line for each request; None for no log.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, access_log: AccessLog | None) -> None:
        self._app = app
        self._metrics = metrics
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        exchange = begin(scope)
        name = (b"x-request-id", exchange.request_id.encode())

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message = {**message, "headers": [*message["headers"], name]}
            await send(message)

        try:
            await self._app(scope, receive, named)
        finally:
            self._metrics.count(exchange)
            if self._access_log is not None:
                self._access_log.write(exchange)
