"""What can go wrong with a service, on demand."""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import dataclass
from typing import Any

HANG_S = 60.0
"""Nothing hangs for longer, so that no test outlives its runner."""

STATUS = {"403": 403, "404": 404, "503": 503, "missing": 404}


@dataclass
class Fault:
    """One fault.

    Attributes
    ----------
    where
        ``login``, ``query``, ``inline`` (the rows inside the answer to the query), ``first``
        (the first chunk that is downloaded), ``later`` (the last one) or ``close`` (the end of the
        session).
    kind
        ``hang``, ``403``, ``404``, ``503``, ``missing``, ``cut``, ``garbage``, ``short``,
        ``expired`` (renewable), ``gone``, or ``code`` with one of Snowflake's.
    code, message
        Of a ``code``.
    times
        How often it strikes; None for ever.
    """

    where: str
    kind: str
    code: str = ""
    message: str = ""
    times: int | None = None

    def strikes(self) -> bool:
        """Count one stroke, if any is left."""
        if self.times is None:
            return True
        self.times -= 1
        return self.times >= 0


async def misbehave(kind: str, receive: Any, send: Any) -> None:
    """Answer a request in the way that ``kind`` names."""
    if kind == "hang":
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HANG_S):
                while (await receive())["type"] != "http.disconnect":
                    pass
        return
    if kind == "cut":
        await _start(send, 200, 1_000_000)
        await send({"type": "http.response.body", "body": b'{"data": ', "more_body": True})
        raise ConnectionResetError("cut on demand")
    body = os.urandom(3000) if kind == "garbage" else b"on demand"
    await _start(send, STATUS.get(kind, 200), len(body))
    await send({"type": "http.response.body", "body": body})


async def _start(send: Any, status: int, length: int) -> None:
    headers = [(b"content-type", b"application/octet-stream"), (b"content-length", str(length).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
