"""A hold: until somebody lifts it, nothing is published into a folder of releases.

The file ``hold.json`` is the hold. That it is there holds; what it says, who, when and why, is for people, so
that one which cannot be read holds as well. It is not hidden: copies of the folder and artifacts of CI take it
along.

To place or lift a hold nobody waits for a run. Both have a lock of their own, which a publisher takes while it
looks for a hold and switches: a hold that has been placed is kept by a run that began before, too.
"""

from __future__ import annotations

import shlex
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recsys.errors import (
    ArtifactCorrupt,
    ArtifactWriteError,
    LockHeld,
    PublishingHeld,
    ReleaseError,
    ReleaseNotFound,
    StoreError,
)
from recsys.release.card import FORMAT, Card
from recsys.release.folder import HOLD
from recsys.release.journal import Journal
from recsys.release.records import read_record
from recsys.system.log import events, keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from recsys.release.storage import Storage

log = events(__name__)

NO_REASON = "rolled back; no reason was given"
"""Why a rollback holds that was given no reason."""

_LIMIT = 1 << 16
"""Bytes: what is larger is not read into memory."""


@dataclass(frozen=True)
class Hold:
    """A hold on publishing.

    Attributes
    ----------
    address, store
        Its file, and the releases that it is for.
    card
        What that says; None where it cannot be read.
    problem
        Why it cannot be read; empty where it can.
    """

    address: str
    store: str
    card: Card | None
    problem: str = ""

    def __str__(self) -> str:
        """Return one clause: that publishing is held, by whom, since when and why."""
        return f"publishing into {self.store} is held{self.facts}"

    @property
    def facts(self) -> str:
        """By whom, since when and why, as it follows "held"."""
        card = self.card
        if card is None:
            return f": {self.address} is there, but who placed it and why cannot be read ({self.problem})"
        moved = ""
        if card.rolled_back_to is not None:
            left = "" if card.rolled_back_from is None else f" from {card.rolled_back_from}"
            moved = f" (placed with the rollback{left} to {card.rolled_back_to})"
        return f' by {card.by} since {card.since[:10]} {card.since[11:16]} UTC: "{card.reason}"{moved}'

    @property
    def cure(self) -> str:
        """The command that lifts it."""
        return f"`recsys hold --release --models {shlex.quote(self.store)}`"

    def to_json(self) -> dict[str, str | None]:
        """Return who, when and why as JSON values, and the problem where they cannot be read."""
        names = ("reason", "by", "since", "rolled_back_from", "rolled_back_to")
        return {**{name: getattr(self.card, name, None) for name in names}, "problem": self.problem or None}


class Holds:
    """Places, reads and lifts the hold on a folder of releases.

    Parameters
    ----------
    storage
        Where the releases are kept.
    """

    def __init__(self, storage: Storage) -> None:
        self.store = storage.address
        self.journal = Journal(storage)
        self._note = storage.hold
        self._storage = storage

    def current(self) -> Hold | None:
        """Return the hold, or None where there is none; reads one file, and takes no lock."""
        try:
            data = self._read()
            return None if data is None else self._hold(read_record(HOLD, data, Card, FORMAT))
        except ReleaseError as error:
            return self._hold(None, str(error))

    def refuse(self, left_undone: str) -> None:
        """Refuse to go on under a hold.

        Parameters
        ----------
        left_undone
            What is not done because of it, for the message.

        Raises
        ------
        PublishingHeld
            If there is one.
        """
        if (hold := self.current()) is not None:
            raise PublishingHeld(
                f"{hold}; {left_undone}. Lift it with {hold.cure}; --publish-anyway does not", hold=hold.to_json()
            )

    def place(self, reason: str, by: str | None = None) -> Hold:
        """Hold publishing. A hold that is there gives way, and the log says what it was.

        Parameters
        ----------
        reason
            Why: one line of text.
        by
            Who; the user of the operating system when not given.

        Raises
        ------
        ArgumentError
            If reason or name is blank, too long, or not one line of text.
        ReleaseNotFound
            If there are no releases here: a slip in the folder's name must not look like a hold.
        LockHeld
            If another process keeps the lock for more than ten seconds.
        ArtifactWriteError
            If it cannot be written.
        """
        card = Card.signed(reason, by)
        self._require_releases()
        with self.guard("a hold"):
            hold = self._write(card)  # first: a log that cannot be written must not let a run publish
            self.journal.add("held", by=card.by, why=card.reason)
            return hold

    def lift(self, by: str | None = None) -> Hold | None:
        """Let publishing go on, and return the hold that was lifted; None where there was none.

        Parameters
        ----------
        by
            Who, for the log; the user of the operating system when not given.

        Raises
        ------
        ReleaseNotFound
            If there is neither a hold nor a release here.
        LockHeld
            If another process keeps the lock for more than ten seconds.
        ArtifactWriteError
            If it cannot be removed; publishing is still held.
        """
        if self.current() is None:
            self._require_releases()
            return None
        lifter = Card.signed("lifted", by).by
        with self.guard("the end of a hold"):
            seen = self._seen()
            if (hold := self.current()) is not None:
                self.journal.add("hold lifted", by=lifter)
                if not self._note.replace(seen, None):
                    raise LockHeld(f"another hold was placed into {self.store} meanwhile: look at it, and run again")
                log.warning("hold lifted", extra=keys(by=lifter, it_was=f"held{hold.facts}"))
        return hold

    def guard(self, holder: str) -> AbstractContextManager[None]:
        """Keep others from placing or lifting a hold while the block lasts.

        Parameters
        ----------
        holder
            What to tell others.
        """
        return self._note.guard(holder)

    @contextmanager
    def placed_with(self, card: Card, moved: Callable[[], bool], *, keep: bool) -> Iterator[None]:
        """Place a hold before the block moves the link: whatever ends it between, no run comes after.

        Parameters
        ----------
        card
            What the hold says.
        moved
            Says of a block that failed whether the link was moved all the same; where not, the hold is as before.
        keep
            Let a hold that is there stay as it is.
        """
        with self.guard("a rollback"):
            if keep and self.current() is not None:
                yield
                return
            undo = self._undo(card)
            try:
                self._write(card)
            except (ArtifactWriteError, StoreError) as error:
                undo()
                raise type(error)(f"{error}. Nothing was rolled back; --no-hold goes back without a hold") from error
            try:
                yield
            except BaseException:
                if not moved():
                    undo()
                raise

    def _require_releases(self) -> None:
        if not self._storage.exists():
            raise ReleaseNotFound(
                f"there is no release in {self.store}, and nothing to hold: name the releases' folder"
            )

    def _hold(self, card: Card | None, problem: str = "") -> Hold:
        return Hold(self._note.address, self.store, card, problem)

    def _read(self) -> bytes | None:
        data = self._note.read()
        if data is not None and len(data) > _LIMIT:
            raise ArtifactCorrupt(f"it has more than {_LIMIT:,} bytes, and no hold is that long")
        return data

    def _write(self, card: Card) -> Hold:
        before = self.current()
        self._note.write(_written(card))
        if before is not None:
            log.warning("another hold gives way", extra=keys(it_was=f"held{before.facts}"))
        log.info("publishing is held", extra=keys(by=card.by, reason=card.reason))
        return self._hold(card)

    def _seen(self) -> bytes | None:
        """Return the hold as it lies there; of one that cannot be read, nothing."""
        with suppress(ReleaseError):
            return self._note.read()
        return None

    def _undo(self, card: Card) -> Callable[[], None]:
        """Return what brings back what is there now, unless somebody has placed another hold since.

        Where it cannot, publishing is held: the safe side.
        """
        try:
            before = self._read()
        except ReleaseError:  # it held, and the one that takes its place does
            return lambda: None

        def undo() -> None:
            with suppress(ArtifactWriteError, StoreError, ReleaseError):  # what matters is the error that led here
                self._note.replace(_written(card), before)

        return undo


def _written(card: Card) -> bytes:
    return card.model_dump_json(indent=1).encode() + b"\n"
