"""Two publishers at once, and one that dies or sleeps with the lease."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from recsys.errors import LockHeld, RecsysError
from recsys.release.check import check_here
from recsys.release.objects import ObjectStorage
from recsys.release.objects.bucket import Bucket
from recsys.release.objects.lease import Lease
from recsys.release.store import ReleaseStore

if TYPE_CHECKING:
    from pathlib import Path

    from factories.small_release import Parts

RACES = 100


def machine(address: str, folder: Path, lease_s: float = 300.0) -> ReleaseStore:
    """Return the store as another machine has it."""
    return ReleaseStore(ObjectStorage(Bucket(address), folder, lease_s), check=lambda *_: None)


def require_whole(address: str, folder: Path) -> str:
    """Read the current release on a fresh machine, every byte."""
    store = machine(address, folder)
    check_here(store.path(), None)
    return store.manifest().release


@pytest.mark.timeout(1800)
def test_of_two_publishers_one_wins_each_time(address: str, parts: Parts, tmp_path: Path) -> None:
    """The other ends with exit code 75, and nothing of it is current."""
    stores = [machine(address, tmp_path / name) for name in ("a", "b")]
    for race in range(RACES):
        gate, ends = threading.Barrier(2), dict[str, int]()
        ended = [threading.Event(), threading.Event()]

        def publish(
            number: int,
            race: int = race,
            gate: threading.Barrier = gate,
            ends: dict[str, int] = ends,
            ended: list[threading.Event] = ended,
        ) -> None:
            name = f"r{race:03d}-{number}"
            gate.wait()
            try:
                with stores[number].staging(name) as staging:
                    for file, data in parts.files.items():
                        staging.write(file, data)
                    ended[1 - number].wait(60)  # whoever has the lease is at work while the other asks for it
                    staging.publish(parts.facts)
                ends[name] = 0
            except RecsysError as error:
                ends[name] = error.exit_code
            ended[number].set()

        threads = [threading.Thread(target=publish, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        winners = [name for name, code in ends.items() if code == 0]
        assert sorted(ends.values()) == [0, 75], (race, ends)
        assert stores[0].current() == winners[0]
    assert require_whole(address, tmp_path / "reader") == stores[0].current()
    assert stores[0].journal.unexplained(stores[0].current()) == ""
    assert [line.event for line in stores[0].journal.lines()] == ["published"] * RACES


PUBLISHER = """
import sys, time
from pathlib import Path
from recsys.release.objects import ObjectStorage
from recsys.release.objects.bucket import Bucket
from recsys.release.objects.lease import Lease
from recsys.release.store import ReleaseStore
store = ReleaseStore(ObjectStorage(Bucket(sys.argv[1]), Path(sys.argv[2]), 3.0), check=lambda *_: None)
with store.staging("asleep") as staging:
    staging.write("games.parquet", b"half")
    store.storage._bucket.put_file("releases/asleep/games.parquet", staging.folder / "games.parquet")
    print("has the lease", flush=True)
    time.sleep(600)
"""


def test_the_lease_of_a_publisher_that_died_is_taken_over(address: str, parts: Parts, tmp_path: Path) -> None:
    """While it lives its lease is renewed; when it is over, the next run has it, and removes what lies there."""
    command = [sys.executable, "-c", PUBLISHER, address, str(tmp_path / "dying")]
    dying = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert dying.stdout is not None
    assert dying.stdout.readline() == "has the lease\n"
    other = machine(address, tmp_path / "other", 3.0)
    time.sleep(4.5)
    with pytest.raises(LockHeld, match=rf"is held by run asleep \(process {dying.pid} on .*its lease is over in"):
        parts.publish(other, "a")
    dying.kill()
    dying.wait()
    deadline = time.monotonic() + 30
    while True:
        try:
            parts.publish(other, "a")
        except LockHeld:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        else:
            break
    assert Bucket(address).folders("releases") == ["a"]
    assert require_whole(address, tmp_path / "reader") == "a"


def test_a_publisher_that_slept_too_long_publishes_nothing(
    address: str, parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease is another's: it ends with exit code 75, however late it wakes up, and the other's release stays."""
    asleep, other = machine(address, tmp_path / "asleep", 2.0), machine(address, tmp_path / "other", 2.0)

    def sleep_and_publish() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Lease, "_renew", lambda *_: None)  # a machine that was suspended renews nothing
            with asleep.staging("late") as staging:
                for name, data in parts.files.items():
                    staging.write(name, data)
                time.sleep(3)
                parts.publish(other, "in-time")
                staging.publish(parts.facts)

    with pytest.raises(LockHeld, match="the lease of this run is") as lost:
        sleep_and_publish()
    assert lost.value.exit_code == 75
    assert other.current() == "in-time"
    assert require_whole(address, tmp_path / "reader") == "in-time"


def test_a_run_that_is_stopped_gives_its_lease_back(address: str, parts: Parts, tmp_path: Path) -> None:
    """The next run need not wait."""
    store = machine(address, tmp_path / "stopped")

    def stop() -> None:
        with store.staging("stopped"):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)

    with pytest.raises(KeyboardInterrupt):
        stop()
    parts.publish(machine(address, tmp_path / "next"), "next")
    assert store.current() == "next"
