"""The hold and the log of an object store."""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

from recsys.errors import LockHeld, StoreError, StoreRefused

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from recsys.release.objects.bucket import Bucket
    from recsys.release.objects.state import Found, State, StateFile

_ATTEMPTS = 12
_PAUSE_S = 0.1


class HoldNote:
    """The hold: a part of the state, so that no switch goes by it; see :class:`recsys.release.storage.Note`."""

    def __init__(self, state: StateFile) -> None:
        self.address = f"{state.address}, hold"
        self._state = state

    def read(self) -> bytes | None:
        """Return the hold; None where there is none."""
        found = self._state.read()
        return None if found is None or found.state.hold is None else json.dumps(found.state.hold).encode()

    def write(self, data: bytes) -> None:
        """Place it."""
        hold = json.loads(data)
        self._state.change(lambda found: _with(found, hold))

    def replace(self, before: bytes | None, after: bytes | None) -> bool:
        """Place or lift it, if it still is what was read."""
        expected, wanted = (None if data is None else json.loads(data) for data in (before, after))

        def replaced(found: Found) -> State:
            return _with(found, wanted if found.state.hold == expected else found.state.hold)

        return self._state.change(replaced).hold == wanted

    def guard(self, holder: str) -> AbstractContextManager[None]:
        """Do nothing: the state changes in one step, and a switch fails where a hold came first."""
        del holder
        return nullcontext()


def _with(found: Found, hold: object) -> State:
    return found.state.model_copy(update={"hold": hold})


class LogNote:
    """The log: an object of its own, which only grows; see :class:`recsys.release.storage.Log`."""

    def __init__(self, bucket: Bucket, path: str) -> None:
        self.address = f"{bucket.address}/{path}"
        self._bucket = bucket
        self._path = path

    def read(self) -> bytes | None:
        """Return its content; None where it is not there."""
        seen = self._bucket.read(self._path)
        return None if seen is None else seen.data

    def update(self, holder: str, change: Callable[[bytes], bytes]) -> None:
        """Replace its content by what ``change`` makes of it."""
        del holder
        written: list[bytes] = []
        failure: StoreError | None = None
        for attempt in range(_ATTEMPTS):
            time.sleep(_PAUSE_S * attempt)
            seen = self._bucket.read(self._path)
            if seen is not None and any(seen.data.startswith(data) for data in written):  # only an answer was lost
                return
            data = change(b"" if seen is None else seen.data)
            written.append(data)
            try:
                done = (
                    self._bucket.create(self._path, data)
                    if seen is None
                    else self._bucket.swap(self._path, data, seen.etag)
                )
            except StoreRefused:
                raise
            except StoreError as error:
                failure = error
                continue
            if done:
                return
        raise failure or LockHeld(f"{self.address} was changed by others {_ATTEMPTS} times in a row: run again")
