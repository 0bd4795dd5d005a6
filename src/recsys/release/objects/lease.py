"""The lease of a publisher: taken, renewed, given back; taken over when its owner is gone."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from recsys.errors import ConfigError, LockHeld, RecsysError
from recsys.release.objects.state import Found, State, Tenant
from recsys.system.log import events, keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from recsys.release.objects.bucket import Bucket
    from recsys.release.objects.state import StateFile

log = events(__name__)

SECONDS = 300.0
"""A publisher that has not renewed its lease for so long is gone."""
PROBE = ".probe"

_PARTS = 3
"""A lease is renewed so often in its time."""
_TRIES = 8


class Lease:
    """The right to publish, for one process at a time.

    Parameters
    ----------
    bucket, state
        The store, and what says whose the lease is.
    is_empty
        Says whether the store holds no release; asked by who makes the state.
    seconds
        How long it lasts unless it is renewed.
    """

    def __init__(
        self, bucket: Bucket, state: StateFile, is_empty: Callable[[], bool], seconds: float = SECONDS
    ) -> None:
        self._bucket = bucket
        self._state = state
        self._is_empty = is_empty
        self._seconds = seconds
        self._nonce = ""

    @contextmanager
    def held(self, holder: str) -> Iterator[None]:
        """Have the lease while the block lasts.

        Raises
        ------
        LockHeld
            If another process has it, and has renewed it in time.
        ConfigError
            If the store does not honour conditions.
        StoreError
            If the store cannot be asked.
        """
        self._take(f"run {holder}")
        ended = threading.Event()
        renewing = threading.Thread(target=self._renew, args=(ended,), name="lease", daemon=True)
        renewing.start()
        try:
            yield
        finally:
            ended.set()
            renewing.join()
            self._give_back()

    def require(self, found: Found, undone: str = "nothing was published") -> None:
        """Raise if the lease is another's now.

        Parameters
        ----------
        found
            The state as it was read.
        undone
            What is not done then, for the message.

        Raises
        ------
        LockHeld
            If it is.
        """
        tenant = found.state.tenant
        if tenant is None or tenant.nonce != self._nonce:
            now = "nobody's" if tenant is None else f"that of {_told(tenant)}"
            raise _Lost(
                f"{self._state.address}: the lease of this run is {now} now: it was not renewed for"
                f" {self._seconds:.0f} s, and {undone}; run again"
            )

    def refuse(self) -> None:
        """Raise if another process has the lease; nothing is taken.

        Raises
        ------
        LockHeld
            If one has.
        """
        found = self._state.read()
        if found is not None:
            self._refuse(found, prove(self._bucket))

    def _take(self, holder: str) -> None:
        nonce, now = secrets.token_hex(8), prove(self._bucket)
        began_empty = self._state.read() is None and self._is_empty()

        def taken(found: Found) -> State:
            if (before := found.state.tenant) is not None and before.nonce == nonce:  # only an answer was lost
                return found.state
            self._refuse(found, now)
            if before is not None:
                log.warning("a publisher is gone, and its lease is taken over", extra=keys(it_was=_told(before)))
            tenant = Tenant(
                holder=holder,
                process=os.getpid(),
                host=socket.gethostname(),
                since=datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
                nonce=nonce,
                seconds=self._seconds,
            )
            more = {} if found.modified else {"began_empty": began_empty}
            return found.state.model_copy(update={"tenant": tenant, **more})

        self._state.change(taken)
        self._nonce = nonce

    def _refuse(self, found: Found, now: datetime) -> None:
        tenant = found.state.tenant
        if tenant is None or found.modified is None:
            return
        unchanged = (now - found.modified).total_seconds()
        if unchanged <= tenant.seconds and not _is_gone(tenant):
            raise LockHeld(
                f"{self._state.address} is held by {_told(tenant)}: wait until it has finished, then run again; if it"
                f" is gone, its lease is over in {max(1.0, tenant.seconds - unchanged):.0f} s"
            )

    def _renew(self, ended: threading.Event) -> None:
        def renewed(found: Found) -> State:
            self.require(found)
            return found.state

        while not ended.wait(self._seconds / _PARTS):
            try:
                self._state.change(renewed)
            except _Lost as error:  # the run ends with it when it publishes
                log.warning("the lease is lost", extra=keys(reason=error))
                return
            except Exception as error:  # noqa: BLE001 - whatever it was, the next time it may go well
                log.warning("the lease could not be renewed; trying again", extra=keys(reason=error))

    def _give_back(self) -> None:
        def given_back(found: Found) -> State:
            self.require(found)
            return found.state.model_copy(update={"tenant": None})

        try:
            self._state.change(given_back)
        except RecsysError as error:
            log.warning("the lease could not be given back; it ends by itself", extra=keys(reason=error))


class _Lost(LockHeld):
    """The lease is another's now."""


def _is_gone(tenant: Tenant) -> bool:
    """Say whether the owner was a process of this machine that has ended."""
    if tenant.host != socket.gethostname() or tenant.process == os.getpid():
        return False
    try:
        os.kill(tenant.process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # it is there, and another user's
        return False
    return False


def _told(tenant: Tenant) -> str:
    return f"{tenant.holder} (process {tenant.process} on {tenant.host}, since {tenant.since})"


def prove(bucket: Bucket) -> datetime:
    """Prove that a store can be written and honours conditions, and return what time it is there.

    Raises
    ------
    ConfigError
        If it writes over what it should not: whose publishing would be a matter of luck.
    StoreError
        If it cannot be asked.
    """
    for _ in range(_TRIES):
        bucket.create(PROBE, secrets.token_bytes(8))
        if bucket.create(PROBE, secrets.token_bytes(8)):
            raise _dishonoured(bucket, "If-None-Match", "writes over an object that is there")
        seen = bucket.read(PROBE)
        if seen is None:
            continue  # somebody cleaned up
        if bucket.swap(PROBE, secrets.token_bytes(8), f'"{secrets.token_hex(16)}"'):
            raise _dishonoured(bucket, "If-Match", "replaces an object that is another by now")
        if bucket.swap(PROBE, secrets.token_bytes(8), seen.etag) and (after := bucket.read(PROBE)) is not None:
            return after.modified
    raise LockHeld(f"{bucket.address}/{PROBE} is changed by others all the time: run again")


def _dishonoured(bucket: Bucket, condition: str, fault: str) -> ConfigError:
    return ConfigError(
        f"{bucket.address}: this store does not honour {condition}: it {fault}, so that two runs could publish at once"
        " and nobody would know; use a store that does (Amazon S3 does), or a folder"
    )
