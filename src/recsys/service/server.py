"""Running the service: the socket, the event loop, and nothing else."""

from __future__ import annotations

import gc
import ipaddress
import os
import signal
import socket
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from recsys.errors import ConfigError, MissingExtra
from recsys.service.shared import SHARED
from recsys.service.watch import Watch
from recsys.system.interrupt import SIGNALS
from recsys.system.log import events, keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import uvicorn

    from recsys.service.front import ServiceOptions
    from recsys.serving import Recommender

log = events(__name__)

_BACKLOG = 2048
"""Connections that may wait to be accepted."""
_SWITCH = 0.0005
"""Seconds after which a thread that loads a release lets requests pass. Python's own 5 ms would be waited for at each
read and write of each request."""


def serve(
    recommender: Recommender,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    every: float = 1.0,
    ready: Callable[[str], None] = lambda _: None,
    options: ServiceOptions | None = None,
) -> int:
    """Serve until a signal asks for the end; requests that are under way are answered first.

    Parameters
    ----------
    recommender
        Answers the questions; it moves on when its path leads to another release.
    host, port
        Where to listen; port 0 takes any that is free.
    every
        Seconds between two looks at the current release.
    ready
        Called with the address once it can be asked.
    options
        What is asked of requests, and what is kept of them.

    Returns
    -------
    int
        The exit code that the signal stands for: 130 for Ctrl-C, 143 for SIGTERM.

    Raises
    ------
    MissingExtra
        If the extra ``serve`` is not installed.
    ConfigError
        If the address cannot be listened on, ``every`` is no length of time, or the access log cannot be written.
    """
    os.environ.pop(SHARED, None)  # of one process the metrics need no folder
    listening, address = listen(host, port, every, has_token=options is not None and options.token is not None)
    release = recommender.release if recommender.is_loaded else "none yet"

    def begun() -> None:
        log.info("serving", extra=keys(address=address, release=release))
        ready(address)

    return serve_on(listening, recommender, every, options, begun)


def serve_on(
    listening: socket.socket,
    recommender: Recommender,
    every: float,
    options: ServiceOptions | None,
    begun: Callable[[], object],
) -> int:
    """Serve on a socket that listens; the arguments and what is returned are those of :func:`serve`."""
    try:
        import uvicorn

        from recsys.service.app import create_app
        from recsys.service.protocol import BoundedProtocol
    except ImportError as error:
        raise MissingExtra("serve", "recsys serve") from error

    app = create_app(recommender, Watch(recommender, every), options)
    server = uvicorn.Server(
        uvicorn.Config(app, http=BoundedProtocol, log_config=None, access_log=False, timeout_graceful_shutdown=5)
    )
    gc.freeze()  # what is loaded stays: to look through it time and again would stop every request
    # Before anybody hears of the address: a signal that comes before uvicorn listens for it ends the server, too.
    with _recorded(server) as received, _switching(_SWITCH):
        begun()
        server.run(sockets=[listening])
    return 128 + received[0] if received else 0


def listen(host: str, port: int, every: float, *, has_token: bool) -> tuple[socket.socket, str]:
    """Return a socket that listens and its address; the arguments and errors are those of :func:`serve`."""
    if not 0 < every <= threading.TIMEOUT_MAX:  # NaN is refused too
        raise ConfigError(f"every = {every}: looks for a new release are some seconds apart; give 1.0 or the like")
    listening = _listen(host, port)
    address = f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"
    if not _is_loopback(listening) and not has_token:
        log.warning(
            "anybody who reaches this address may ask: there is no log-in; RECSYS_SERVE_TOKEN sets a token",
            extra=keys(address=address),
        )
    return listening, address


@contextmanager
def _recorded(server: uvicorn.Server) -> Iterator[list[int]]:
    """Record the signals that come before uvicorn has handlers of its own, and those that it hands on at its end."""
    received: list[int] = []

    def record(number: int, _: object) -> None:
        received.append(number)
        server.should_exit = True

    before = {number: signal.signal(number, record) for number in SIGNALS}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _switching(seconds: float) -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"cannot listen on {host}, port {port}: {error}; name another with --host and --port (0: any that is free)"
        ) from error


def _is_loopback(listening: socket.socket) -> bool:
    return ipaddress.ip_address(listening.getsockname()[0]).is_loopback
