"""``v1.json``: the one object that says which release is current, who publishes, and whether publishing is held."""

from __future__ import annotations

import random
import secrets
import time
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ConfigDict

from recsys.errors import LockHeld, StoreError, StoreRefused
from recsys.release.records import Format, Json, Record, read_record

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from recsys.release.objects.bucket import Bucket

STATE = "v1.json"
FORMAT = Format(1, 0)
"""The layout that is written."""

_ATTEMPTS = 12
"""Others change the state now and then: a hold, a lease that is renewed."""
_PAUSE_S = 0.05


class _Kept(Record):
    """A record that keeps what it does not know: a newer version wrote it, and reads it again."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Tenant(_Kept):
    """Who publishes.

    Attributes
    ----------
    holder
        The run, or what else.
    process, host
        Where it runs.
    since
        Since when, in UTC, by that machine's clock: for people.
    nonce
        What no other lease has.
    seconds
        It is over when the state has not changed for so long, by the store's clock.
    """

    holder: str
    process: int
    host: str
    since: str
    nonce: str
    seconds: float


class State(_Kept):
    """What ``v1.json`` says.

    Attributes
    ----------
    format, minor
        Version of its layout.
    release
        The current release; None where none was published yet.
    tenant
        Who publishes; None where nobody does.
    hold
        The hold on publishing, as ``hold.json`` has it in a folder; None where there is none.
    pointer
        The signed switches, as ``pointer.json`` has them in a folder; None where none was signed.
    began_empty
        Whether there was no release when it was made: then none is current until one is published.
    change
        What no other change of the state has.
    """

    format: int = FORMAT.major
    minor: int = FORMAT.minor
    release: str | None = None
    tenant: Tenant | None = None
    hold: Json = None
    pointer: Json = None
    began_empty: bool = False
    change: str = ""


class Found(NamedTuple):
    """The state as it was read; ``modified`` by the store's clock, None where there was none."""

    state: State
    etag: str
    modified: datetime | None


class StateFile:
    """Reads the state of a store, and changes it in one step.

    Parameters
    ----------
    bucket
        Where it lies.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self.address = f"{bucket.address}/{STATE}"

    def read(self) -> Found | None:
        """Return the state; None where there is none.

        Raises
        ------
        ArtifactCorrupt, IncompatibleArtifact
            If it cannot be read.
        StoreError
            If the store does not say.
        """
        seen = self._bucket.read(STATE)
        if seen is None:
            return None
        return Found(read_record(self.address, seen.data, State, FORMAT), seen.etag, seen.modified)

    def change(self, change: Callable[[Found], State]) -> State:
        """Replace the state by what ``change`` makes of it, once, and only if nobody else has changed it since.

        Parameters
        ----------
        change
            Takes the state as it was read; raises what forbids the change. Called again where others were faster.

        Raises
        ------
        LockHeld
            If others were faster each time.
        StoreError
            If the store does not take it, or does not say whether it did.
        """
        mark, failure = secrets.token_hex(8), None
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(_PAUSE_S * (1 + random.random()) * attempt)
            found = self.read()
            if found is not None and found.state.change == mark:  # an answer was lost, and the change was not
                return found.state
            state = change(found or Found(State(), "", None)).model_copy(update={"change": mark})
            data = state.model_dump_json(indent=1).encode() + b"\n"
            try:
                done = self._bucket.swap(STATE, data, found.etag) if found else self._bucket.create(STATE, data)
            except StoreRefused:
                raise
            except StoreError as error:  # it may have been written, or be written yet: the next look tells
                failure = error
                continue
            if done:
                return state
        if failure is not None:
            raise StoreError(f"{failure}; whether it was written is not known: look with `recsys releases`")
        raise LockHeld(f"{self.address} was changed by others {_ATTEMPTS} times in a row: run again")
