"""A body that does not say how long it is ends where it is too long, whoever reads it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI, Request

from recsys.service.limits import Bounded

if TYPE_CHECKING:
    from starlette.types import Message


def app() -> FastAPI:
    """Return an application that reads what it is sent, as raw bytes and as JSON."""
    made = FastAPI()

    @made.post("/raw")
    async def raw(request: Request) -> int:
        return len(await request.body())

    @made.post("/json")
    async def parsed(body: list[int]) -> int:
        return len(body)

    return made


@pytest.mark.parametrize("path", ["/raw", "/json"])
@pytest.mark.parametrize(("pieces", "status"), [(2, 200), (3, 413)])
def test_a_body_in_pieces_is_counted(path: str, pieces: int, status: int) -> None:
    """413 in place of whatever the reader makes of a body that breaks off, and nothing is sent twice."""
    left = [b"[1" + b" " * 48, *[b" " * 50] * (pieces - 2), b" " * 49 + b"]"]
    sent: list[Message] = []

    async def receive() -> Message:
        body = left.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(left)}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"transfer-encoding", b"chunked")]
    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": headers,
        "http_version": "1.1", "scheme": "http", "server": ("test", 80), "client": ("test", 1), "root_path": "",
    }  # fmt: skip
    asyncio.run(Bounded(app(), max_body=100)(scope, receive, send))
    start, *bodies = sent
    assert start["status"] == status
    assert sum(message["type"] == "http.response.start" for message in sent) == 1
    if status == 413:
        assert json.loads(bodies[0]["body"])["message"] == "the body has more than 100 bytes; send less at once"
