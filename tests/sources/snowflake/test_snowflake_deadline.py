"""A run is bounded: as a library and as a process, whatever the connector's own threads still do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING

import pytest

from recsys.errors import DeadlineExceeded, RecsysError, SourceUnavailable
from recsys.sources.snowflake.deadline import Deadline, Prefetch
from recsys.system.background import in_background
from standins.snowflake.canaries import ACCESS_TOKEN
from standins.snowflake.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from standins.snowflake.fixtures import Warehouse

pytest_plugins = ["standins.snowflake.fixtures"]

DEADLINE_S = 4.0

# What a host does that uses the package as a library: it catches the error, goes on, and ends by itself.
HOST = """
import sys, time
from recsys.config import load_settings
from recsys.errors import RecsysError
from recsys.sources import open_source
import snowflake.connector, recsys.sources.snowflake.source  # importing takes its time, which is not the service's
start = time.monotonic()
try:
    source = open_source("snowflake", load_settings())
    list(source.execute("SELECT N FROM ANALYTICS.MART_GAMES").batches)
except RecsysError as error:
    print(type(error).__name__, time.monotonic() - start, flush=True)
    sys.exit(error.exit_code)
print("fetched", time.monotonic() - start, flush=True)
"""


@pytest.mark.parametrize("place", ["login", "query", "first", "later", "close"])
def test_a_process_ends_on_time_when_the_service_hangs(place: str, warehouse: Warehouse) -> None:
    """The error comes on time, the host lives on, and its own end waits for no thread of the connector.

    Not even for the end of a session that the host forgot to close.
    """
    warehouse.table("MART_GAMES", "SELECT range AS N FROM range(1000)")
    warehouse.service.set(chunks=5, faults=[Fault(place, "hang"), Fault("close", "hang")])
    environ = {
        **os.environ,
        **{f"SNOWFLAKE_{name.upper()}": value for name, value in warehouse.address().items()},
        "SNOWFLAKE_TOKEN": ACCESS_TOKEN,
        "RECSYS_SNOWFLAKE__DEADLINE_S": str(DEADLINE_S),
        "RECSYS_SNOWFLAKE__LOGIN_TIMEOUT_S": str(DEADLINE_S),
    }
    host = subprocess.Popen([sys.executable, "-c", HOST], env=environ, stdout=subprocess.PIPE, text=True)
    try:
        assert host.stdout is not None
        name, seconds = host.stdout.readline().split()
        # Left to themselves, the connector's threads and its own farewell would take a minute.
        assert host.wait(timeout=15) == (0 if place == "close" else 75)
    finally:
        host.kill()
    assert name == ("fetched" if place == "close" else "DeadlineExceeded")
    assert float(seconds) < DEADLINE_S + 3  # two of them promised; a fresh process on a busy machine needs the third


def test_closing_does_not_wait_for_a_service_that_hangs(warehouse: Warehouse) -> None:
    """The session ends by itself after a while; nothing is lost with it."""
    source = warehouse.open()
    warehouse.service.fault("close", "hang")
    start = time.monotonic()
    source.close()
    source.close()
    assert time.monotonic() - start < 2 + 3


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Listen, and never answer."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listener:
        yield listener.getsockname()[1]


def seconds_to_fail(warehouse: Warehouse, error: type[RecsysError], sign_in: dict[str, str]) -> tuple[float, str]:
    """Sign in with the default backoff, and return the seconds until the expected error and its message."""
    from recsys.config import SnowflakeSettings
    from recsys.sources.snowflake.source import SnowflakeSource

    credentials = warehouse.credentials(**sign_in)
    start = time.monotonic()
    with pytest.raises(error) as caught:
        SnowflakeSource(credentials, SnowflakeSettings(login_timeout_s=4))
    assert type(caught.value) is error
    return time.monotonic() - start, str(caught.value)


@pytest.mark.parametrize("way", ["token", "private_key_raw"])
def test_a_service_that_refuses_connections_is_given_up(way: str, warehouse: Warehouse) -> None:
    """The connector tries again for a while, and the message says what it ran into."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    secret = {"token": ACCESS_TOKEN, "private_key_raw": warehouse.key.plain}[way]
    seconds, message = seconds_to_fail(warehouse, SourceUnavailable, {way: secret, "port": port})
    assert seconds < 4 + 3
    assert "does not accept connections: Connection refused" in message


def test_a_host_that_does_not_exist_is_given_up(warehouse: Warehouse) -> None:
    """A misspelt account is a host name that does not resolve: the message says so."""
    sign_in = {"token": ACCESS_TOKEN, "host": "no-such-account.invalid", "protocol": "https", "port": "443"}
    seconds, message = seconds_to_fail(warehouse, SourceUnavailable, sign_in)
    assert seconds < 4 + 5
    assert "the name no-such-account.invalid does not resolve" in message


@pytest.mark.parametrize("way", ["token", "private_key_raw"])
def test_a_silent_service_is_given_up(way: str, warehouse: Warehouse, silent_port: int) -> None:
    """A connection that is accepted and then ignored is a hang, for every way of signing in."""
    secret = {"token": ACCESS_TOKEN, "private_key_raw": warehouse.key.plain}[way]
    seconds, message = seconds_to_fail(warehouse, DeadlineExceeded, {way: secret, "port": str(silent_port)})
    assert seconds < 4 + 3
    assert "snowflake.login_timeout_s" in message


def test_waiting_alone_is_counted() -> None:
    """What the caller does between two waits is its own time."""
    now = [0.0]
    deadline = Deadline(10, clock=lambda: now[0])
    done: Future[int] = Future()
    done.set_result(1)
    deadline.wait(done, "testing")
    now[0] += 100
    assert deadline.wait(done, "testing") == 1
    assert deadline.left == 10


def test_all_waits_together_are_bounded() -> None:
    """The second wait has what the first one left."""
    deadline = Deadline(1.5)
    deadline.wait(in_background(lambda: time.sleep(1), "test"), "testing")
    start = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=r"1\.5 s of snowflake\.deadline_s"):
        deadline.wait(Future(), "testing")
    assert time.monotonic() - start < 1


def test_a_long_wait_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever watches a log sees what the run waits for, not silence."""
    caplog.set_level("INFO")
    with pytest.raises(DeadlineExceeded):
        Deadline(0.25, notice_s=0.1).wait(Future(), "testing")
    waits = [record for record in caplog.records if record.message == "still waiting for Snowflake"]
    assert waits
    assert waits[0].__dict__["recsys_keys"]["doing"] == "testing"


def test_a_timeout_of_the_work_itself_is_not_ours() -> None:
    """A socket's TimeoutError is the class that waiting raises too; it is told apart."""

    def work() -> None:
        raise TimeoutError("socket")

    with pytest.raises(TimeoutError, match="socket"):
        Deadline(5).wait(in_background(work, "test"), "testing")


def test_prefetching_keeps_the_order_and_its_window() -> None:
    """However long the consumer takes, only a few loaded results wait for it."""
    loaded: list[int] = []

    def load(number: int) -> int:
        loaded.append(number)
        return number

    prefetch = Prefetch(load, list(range(50)), threads=2)
    for number in range(50):
        assert prefetch.futures[number].result(timeout=5) == number
        time.sleep(0.002)
        assert len(loaded) <= number + 4
        prefetch.delivered(number)


def test_prefetching_hands_a_failure_to_its_place() -> None:
    """Results before it arrive; the failure is raised where it happened."""

    def load(number: int) -> int:
        if number == 3:
            raise OSError("cut")
        return number

    prefetch = Prefetch(load, list(range(6)), threads=2)
    assert [prefetch.futures[number].result(timeout=5) for number in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="cut"):
        prefetch.futures[3].result(timeout=5)


def test_a_stopped_prefetch_ends_its_threads() -> None:
    """A consumer that leaves early leaves nothing behind."""
    before = threading.active_count()
    prefetch = Prefetch(lambda number: number, list(range(1000)), threads=4)
    prefetch.futures[0].result(timeout=5)
    prefetch.stop()
    end = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < end:
        time.sleep(0.01)
    assert threading.active_count() == before
