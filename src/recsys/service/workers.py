"""Several processes on one listening socket: started, watched, replaced, and ended together."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from recsys.errors import ConfigError, MissingExtra, RecsysError, ReleaseError
from recsys.service.server import listen, serve_on
from recsys.service.shared import SHARED
from recsys.system.interrupt import SIGNALS
from recsys.system.log import events, keys, set_up
from recsys.system.told import retold, told

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess
    from pathlib import Path

    from recsys.service.front import ServiceOptions
    from recsys.system.log import LogFormat

log = events(__name__)

_PATIENCE_S = 15.0
"""How long workers may take to end: uvicorn waits five seconds for what is under way."""
_FRUITLESS = 5
"""So many replacements in a row that end before they can answer end the server."""
_READY = "ready"


@dataclass(frozen=True)
class WorkerTask:
    """What each worker does.

    Attributes
    ----------
    path
        The release, or the link to the current one.
    every
        Seconds between two looks at it.
    options
        What is asked of requests, and what is kept of them.
    wait
        Answer before there is a sound release, with 503.
    log_format, verbose
        How its events are written.
    """

    path: Path | str
    every: float
    options: ServiceOptions
    wait: bool = False
    log_format: LogFormat = "human"
    verbose: bool = False


@dataclass
class _Worker:
    process: SpawnProcess
    told: Connection
    is_ready: bool = False
    failure: tuple[str, str] | None = None


def serve_many(
    task: WorkerTask, count: int, host: str, port: int, *, ready: Callable[[str], None] = lambda _: None
) -> int:
    """Serve with several processes until a signal asks for the end; what is returned is that of ``serve``.

    A worker that dies is replaced. One that cannot begin ends the server, with its error.

    Parameters
    ----------
    task
        What each of them does.
    count
        How many there are.
    host, port
        Where to listen; port 0 takes any that is free.
    ready
        Called with the address once every worker can be asked.

    Raises
    ------
    RecsysError
        What a worker could not begin for; or, later, if replacements keep ending before they can answer.
    """
    if os.name != "posix":
        raise ConfigError("--workers needs a system whose processes can share a socket; serve with one worker here")
    try:
        from prometheus_client.multiprocess import mark_process_dead
    except ImportError as error:
        raise MissingExtra("serve", "recsys serve") from error
    listening, address = listen(host, port, task.every, has_token=task.options.token is not None)
    with tempfile.TemporaryDirectory(prefix="recsys-metrics-") as folder, _signals() as received:
        os.environ[SHARED] = folder
        team = _Team(task, listening, received, mark_process_dead)
        try:
            team.begin(count)
            if not received.numbers:
                log.info("serving", extra=keys(address=address, workers=count))
                ready(address)
            team.watch()
        finally:
            team.end()
            os.environ.pop(SHARED, None)
    return 128 + received.numbers[0]


class _Received:
    """Signals that have arrived, and a descriptor that becomes readable with the first."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.reading, self._writing = os.pipe()

    def take(self, number: int, _: object) -> None:
        self.numbers.append(number)
        os.write(self._writing, b"!")

    def close(self) -> None:
        os.close(self.reading)
        os.close(self._writing)


@contextmanager
def _signals() -> Iterator[_Received]:
    received = _Received()
    before = {number: signal.signal(number, received.take) for number in SIGNALS}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        received.close()


@dataclass
class _Team:
    task: WorkerTask
    listening: socket.socket
    received: _Received
    forget: Callable[[int], None]
    workers: list[_Worker] = field(default_factory=list)
    fruitless: int = 0

    def __post_init__(self) -> None:
        self._context = multiprocessing.get_context("spawn")
        # Its writing end lives in this process alone: however that ends, each worker reads the end of it.
        self._alive, self._living = self._context.Pipe(duplex=False)

    def begin(self, count: int) -> None:
        """Start the workers, and wait until all can be asked."""
        for _ in range(count):
            self._start(replacing=False)
        while not self.received.numbers and not all(worker.is_ready for worker in self.workers):
            self._await()
            for worker in self._ended():
                raise _failure_of(worker)

    def watch(self) -> None:
        """Replace workers that end, until a signal asks for the end."""
        while not self.received.numbers:
            self._await()
            for worker in self._ended():
                self._replace(worker)

    def end(self) -> None:
        """End every worker: in order, or, after a while, at once."""
        for worker in self.workers:
            worker.process.terminate()
        deadline = time.monotonic() + _PATIENCE_S
        for worker in self.workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self.listening.close()

    def _start(self, *, replacing: bool) -> None:
        hearing, telling = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=_work,
            args=(self.task, self.listening, self._alive, telling),
            kwargs={"replacing": replacing},
            name="recsys worker",
        )
        process.start()
        telling.close()
        self.workers.append(_Worker(process, hearing))

    def _await(self) -> None:
        """Wait until a worker is ready or ends, or a signal arrives."""
        waiting = {worker.told: worker for worker in self.workers if not worker.is_ready}
        ends = [worker.process.sentinel for worker in self.workers]
        for one in wait([self.received.reading, *ends, *waiting]):
            worker = waiting.get(one)  # type: ignore[call-overload]
            if worker is not None:
                self._hear(worker)

    def _hear(self, worker: _Worker) -> None:
        """Take what a worker says: that it can be asked, or why it ends."""
        try:
            said = worker.told.recv()
        except EOFError:
            said = None
        if said == _READY:
            worker.is_ready, self.fruitless = True, 0
        else:
            worker.failure = said
            worker.process.join()

    def _ended(self) -> list[_Worker]:
        """Return the workers that have ended, each heard: one may have told and ended since the wait."""
        ended = [worker for worker in self.workers if not worker.process.is_alive()]
        for worker in ended:
            if not worker.is_ready and worker.failure is None:
                self._hear(worker)
        return ended

    def _replace(self, worker: _Worker) -> None:
        code = worker.process.exitcode
        self.workers.remove(worker)
        self.forget(worker.process.pid or 0)
        log.error("a worker ended and is replaced", extra=keys(process=worker.process.pid, exit_code=code))
        if not worker.is_ready:
            self.fruitless += 1
        if self.fruitless >= _FRUITLESS:
            raise RecsysError(f"{_FRUITLESS} workers in a row ended before they could answer, the last with {code}")
        self._start(replacing=True)


def _failure_of(worker: _Worker) -> RecsysError:
    """Return why a worker could not begin, as it told it."""
    if worker.failure is not None:
        return retold(*worker.failure)
    return RecsysError(f"a worker ended before it could answer, with exit code {worker.process.exitcode}")


def _work(
    task: WorkerTask, listening: socket.socket, alive: Connection, telling: Connection, *, replacing: bool
) -> None:  # in a process of its own
    from recsys.serving import load

    set_up(task.log_format, verbose=task.verbose)
    threading.Thread(target=_end_with, args=(alive,), name="server", daemon=True).start()
    try:
        recommender = load(task.path, eager=True, wait=task.wait or replacing, apart=True)
        while replacing and not recommender.is_loaded:
            _try(recommender.reload)  # beside workers that answer, it must not answer 503
        serve_on(listening, recommender, task.every, task.options, begun=lambda: telling.send(_READY))
    except RecsysError as error:
        telling.send(told(error))


def _try(reload: Callable[[], bool]) -> None:
    try:
        reload()
    except ReleaseError as error:
        cause = str(error)
    else:
        return
    log.error("a worker cannot begin: nothing sound to load; trying again", extra=keys(cause=cause))
    time.sleep(1)


def _end_with(alive: Connection) -> None:
    """End this worker when its server is gone, however that ended."""
    try:
        alive.recv()
    except EOFError:
        os.kill(os.getpid(), signal.SIGTERM)
