"""A real server of buckets, and a way to it that fails as it is told."""

from __future__ import annotations

import http.client
import os
import socket
import socketserver
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "publisher",
    "AWS_SECRET_ACCESS_KEY": "a-secret-that-nobody-prints",
    "AWS_REGION": "us-east-1",
}
NAMED = os.environ.get("RECSYS_TEST_S3_ENDPOINT", "")
"""Another server, such as that of another code base; moto's when not given."""


@contextmanager
def running(log: Path) -> Iterator[str]:
    """Start moto's server; yield where it listens."""
    if NAMED:
        yield NAMED
        return
    port = _free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        _await(port, server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _await(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert server.poll() is None, "the server ended"
        try:
            _asked(f"127.0.0.1:{port}", "GET", "/", {}, b"")
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the server does not answer")


def _asked(
    host: str, method: str, path: str, headers: dict[str, str], body: bytes
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def make_bucket(endpoint: str, name: str) -> None:
    """Make a bucket."""
    headers = {"Content-Length": "0", "Authorization": _CLAIM}
    status, _, body = _asked(endpoint.removeprefix("http://"), "PUT", f"/{name}", headers, b"")
    assert status == 200, body


_CLAIM = "AWS4-HMAC-SHA256 Credential=publisher/20261127/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
"""Some servers look in it whether a request is one of S3; none of these checks it."""


@dataclass(frozen=True)
class Request:
    """What somebody asked for."""

    number: int
    method: str
    path: str


Fault: TypeAlias = str
"""``kill``: nothing arrives; ``lost``: it arrives, and its answer does not; ``spoilt``: one bit of it is another;
``cut``: half of the answer comes; ``slow``: the answer comes late; or a status of HTTP."""


@dataclass
class Way:
    """A way to a server, which notes what is asked, and fails as it is told.

    Attributes
    ----------
    fault
        Says what becomes of a request; None lets it pass.
    change
        Changes the headers of a request.
    asked
        All requests.
    """

    endpoint: str
    url: str = ""
    fault: Callable[[Request], Fault | None] = lambda _: None
    change: Callable[[dict[str, str]], dict[str, str]] = lambda headers: headers
    asked: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._counted = threading.Lock()

    def note(self, method: str, path: str) -> Request:
        """Note a request."""
        with self._counted:
            request = Request(len(self.asked), method, path)
            self.asked.append(request)
        return request


@contextmanager
def way_to(endpoint: str) -> Iterator[Way]:
    """Yield a way to a server."""
    way = Way(endpoint)
    with _Listening(("127.0.0.1", 0), partial(_Passing, way)) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        way.url = f"http://127.0.0.1:{listening.server_address[1]}"
        yield way
        listening.shutdown()
        thread.join()


class _Listening(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: that connections break is what these tests are about."""


class _Passing(socketserver.StreamRequestHandler):
    """Passes the requests of one connection on."""

    def __init__(self, way: Way, *arguments: Any) -> None:
        self._way = way
        super().__init__(*arguments)

    def handle(self) -> None:
        """Pass on until the other side hangs up, or we do."""
        while (line := self.rfile.readline().decode()) and self._pass(*line.split()[:2]):
            pass

    def _pass(self, method: str, path: str) -> bool:
        request = self._way.note(method, path)
        headers = dict(http.client.parse_headers(self.rfile).items())
        by_name = {name.lower(): value for name, value in headers.items()}
        body = self.rfile.read(int(by_name.get("content-length", 0)))
        fault = self._way.fault(request)
        if fault == "kill":
            return False
        if fault is not None and fault.isdigit():
            return self._answer(method, int(fault), {}, _refusal(fault))
        host = self._way.endpoint.removeprefix("http://")
        kept = {name: value for name, value in headers.items() if name.lower() != "host"}
        if fault == "spoilt":
            body = body[:-1] + bytes([body[-1] ^ 1])
        answer = _asked(host, method, path, self._way.change(kept) | {"Host": host}, body)
        if fault == "lost":
            return False
        if fault == "slow":
            time.sleep(0.15)
        return self._answer(method, *answer, cut=fault == "cut")

    def _answer(self, method: str, status: int, headers: dict[str, str], data: bytes, *, cut: bool = False) -> bool:
        left_out = {"content-length", "transfer-encoding", "connection"}
        length = headers.get("Content-Length", "0") if method == "HEAD" else str(len(data))
        lines = [f"HTTP/1.1 {status} {http.client.responses.get(status, '')}", f"Content-Length: {length}"]
        lines += [f"{name}: {value}" for name, value in headers.items() if name.lower() not in left_out]
        whole = "\r\n".join([*lines, "", ""]).encode() + (b"" if method == "HEAD" else data)
        self.wfile.write(whole[: len(whole) - len(data) // 2 - 1] if cut else whole)
        self.wfile.flush()
        return not cut


def _refusal(status: str) -> bytes:
    code = {"403": "AccessDenied", "404": "NoSuchKey", "409": "ConditionalRequestConflict", "412": "PreconditionFailed"}
    return f"<Error><Code>{code.get(status, 'InternalError')}</Code><Message>told to</Message></Error>".encode()
