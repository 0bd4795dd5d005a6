"""Limits of a request: how large it may be, and how long its answer may take."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from recsys.service.responses import problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_ADDRESS = 64_000
"""Bytes of an address: path and parameters as they were sent."""
MAX_HEADERS = 64_000
"""Bytes of all headers."""
MAX_BODY = 1 << 20
"""Bytes of a body."""


class Bounded:
    """Refuses what is too large before anybody reads it.

    Parameters
    ----------
    app
        What answers the rest.
    max_body
        Bytes that a body may have at most.
    """

    def __init__(self, app: ASGIApp, max_body: int = MAX_BODY) -> None:
        self._app = app
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if refusal := self._too_large(scope):
            await problem("RequestTooLarge", *refusal)(scope, receive, send)
            return
        counted = _Counted(receive, send, self._max_body)
        try:
            await self._app(scope, counted.receive, counted.send)
        except ClientDisconnect:  # what a reader of the body makes of its end
            if not counted.exceeded:
                raise
        if counted.exceeded:
            refused = problem("RequestTooLarge", *_body_too_large(self._max_body))
            await refused(scope, receive, send)

    def _too_large(self, scope: Scope) -> tuple[str, int] | None:
        address = len(scope.get("raw_path") or scope["path"]) + len(scope["query_string"])
        if address > MAX_ADDRESS:
            return f"the address has more than {MAX_ADDRESS:,} bytes; ask for less at once", 414
        headers = sum(len(name) + len(value) for name, value in scope["headers"])
        if headers > MAX_HEADERS:
            return f"the headers have {headers:,} bytes; at most {MAX_HEADERS:,} are taken", 431
        size = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        return _body_too_large(self._max_body) if int(size) > self._max_body else None


def _body_too_large(limit: int) -> tuple[str, int]:
    return f"the body has more than {limit:,} bytes; send less at once", 413


class _Counted:
    """Counts a body that does not say how long it is; where it is too long, its answer is kept back."""

    def __init__(self, receive: Receive, send: Send, limit: int) -> None:
        self._receive, self._send = receive, send
        self._left = limit
        self._begun = False
        self.exceeded = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0 and not self._begun:
            self.exceeded = True
            return {"type": "http.disconnect"}
        return message

    async def send(self, message: Message) -> None:
        if not self.exceeded:
            self._begun = True
            await self._send(message)


class Timed:
    """Answers 503 where an answer takes too long; what is under way ends by itself, unheard.

    Parameters
    ----------
    app
        What answers.
    seconds
        How long an answer may take, its body's arrival included.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds
        self._late: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, in time or with 503."""
        heard, begun = True, False

        async def in_time(message: Message) -> None:
            nonlocal begun
            if heard:
                begun = True
                await send(message)

        # A thread cannot be stopped, and who waits for one cannot be cancelled: so nobody waits for it any more.
        task = asyncio.ensure_future(self._app(scope, receive, in_time))
        try:
            done, _ = await asyncio.wait({task}, timeout=self._seconds)
            if not done and not begun:
                heard = False
                self._late.add(task)
                task.add_done_callback(self._over)
                message = f"the answer took longer than {self._seconds:g} s; ask for less, or again later"
                await problem("TooSlow", message, 503, {"Retry-After": "1"})(scope, receive, send)
                return
            await task
        except asyncio.CancelledError:
            task.cancel()
            raise

    def _over(self, task: asyncio.Task[None]) -> None:
        self._late.discard(task)
        if not task.cancelled():
            task.exception()  # nobody is left to hear it
