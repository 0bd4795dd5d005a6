"""Whatever a request of a publish meets: nothing torn, nothing mixed, and the next publish succeeds.

Each request of one publish fails in turn, in each way there is: at every point of it the store must name one whole
release, the one before or the new one, and a run that said it failed at nothing must have published.
"""

from __future__ import annotations

import itertools
import logging
import os
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from recsys.errors import PublishingHeld, RecsysError
from recsys.release.check import check_here
from recsys.release.objects import ObjectStorage
from recsys.release.objects.bucket import Bucket
from recsys.release.objects.lease import Lease
from recsys.release.store import ReleaseStore

if TYPE_CHECKING:
    from pathlib import Path

    from factories.small_release import Parts
    from standins.bucket_server import Request, Way

STEP = 1 if os.environ.get("RECSYS_FAULTS") == "all" else 5
"""Each request, or every fifth one."""
FAULTS = ("kill", "lost", "cut", "slow", "403", "404", "409", "412", "500", "503")


class Store:
    """A store whose publisher makes each request once: what fails is seen, and not tried again unseen."""

    def __init__(self, address: str, folder: Path, way: Way) -> None:
        self.address, self.folder, self.way = address, folder, way
        self._machines = itertools.count()

    def publisher(self, *, retries: int = 0) -> ReleaseStore:
        """Return the store as a machine has it that never saw it."""
        folder = self.folder / str(next(self._machines))
        storage = ObjectStorage(Bucket(self.address, retries=retries), folder, lease_s=-1.0)
        return ReleaseStore(storage, keep=2, check=lambda *_: None)

    def require_whole(self) -> str | None:
        """Read the current release on a fresh machine, every byte, and return its name."""
        self.way.fault = lambda _: None
        store = self.publisher()
        current = store.current()
        if current is not None:
            check_here(store.path(), None)
            assert store.manifest().release == current
        return current


@pytest.fixture
def store(address: str, tmp_path: Path, way: Way, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Return an empty store: it is asked again without a pause, and a lease that was not given back is over at once."""
    monkeypatch.setattr(Lease, "_renew", lambda *_: None)
    for module in ("state", "notes"):
        monkeypatch.setattr(f"recsys.release.objects.{module}._PAUSE_S", 0.0)
    return Store(address, tmp_path, way)


def requests_of_a_publish(store: Store, parts: Parts, name: str) -> int:
    """Publish, and return how many requests that took."""
    before = len(store.way.asked)
    parts.publish(store.publisher(), name)
    return len(store.way.asked) - before


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("always", [False, True], ids=["one request", "that and all that follow"])
@pytest.mark.parametrize("fault", FAULTS)
def test_every_request_of_a_publish_fails_in_turn(store: Store, parts: Parts, fault: str, *, always: bool) -> None:
    """The store names one whole release after each, and the next publish succeeds."""
    logging.disable(logging.WARNING)
    count = requests_of_a_publish(store, parts, "first")
    current = "first"
    for at in range(0, count + 2, 3 * STEP if always else STEP):
        name, begun = f"n{at}", len(store.way.asked)

        def failing(request: Request, begun: int = begun, at: int = at) -> str | None:
            number = request.number - begun
            return fault if number == at or (always and number > at) else None

        store.way.fault = failing
        try:
            parts.publish(store.publisher(), name)
            published = True
        except RecsysError:
            published = False
        now = store.require_whole()
        assert now in {current, name}, f"request {at}"
        assert not published or now == name, f"request {at}: published, it was said"
        current = now or ""
    parts.publish(store.publisher(), "last")
    assert store.require_whole() == "last"
    assert store.publisher().journal.unexplained("last") == ""
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("fault", ["kill", "lost", "500"])
def test_a_first_publish_a_rollback_and_a_hold_fail_in_turn(
    store: Store, parts: Parts, fault: str, address: str
) -> None:
    """The same for what else changes the store."""
    logging.disable(logging.WARNING)
    parts.publish(store.publisher(), "a")
    parts.publish(store.publisher(), "b")

    def acts() -> None:
        machine = store.publisher()
        machine.rollback("a" if machine.current() == "b" else "b", reason="back")
        machine.holds.lift("anna")

    begun = len(store.way.asked)
    acts()
    count = len(store.way.asked) - begun
    for at in range(0, count, STEP):
        begun = len(store.way.asked)

        def failing(request: Request, begun: int = begun, at: int = at) -> str | None:
            return fault if request.number - begun == at else None

        store.way.fault = failing
        with suppress(RecsysError):
            acts()
        assert store.require_whole() in {"a", "b"}
        store.publisher().holds.lift("anna")
    machine = store.publisher()
    machine.holds.place("held", "anna")
    with pytest.raises(PublishingHeld):
        parts.publish(machine, "c")
    machine.holds.lift("anna")
    parts.publish(machine, "d")
    assert store.require_whole() == "d"
    logging.disable(logging.NOTSET)
