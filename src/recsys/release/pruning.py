"""Pruning: which releases a store lets go of, and how they go."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from recsys.errors import ArtifactWriteError, LockHeld, ReleaseError, StoreError
from recsys.release.durable import remove, waiting, writing
from recsys.release.staging import STAGING
from recsys.release.switch import TRASH
from recsys.system.log import events, keys

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from recsys.release.entries import Entry
    from recsys.release.pointer import Pointer

log = events(__name__)


@dataclass(frozen=True)
class Retention:
    """What a store keeps. The current release always stays.

    Attributes
    ----------
    keep
        How many releases stay, the current one and the one that it replaced among them; with 1 both stay.
    max_age_days
        Releases that were published longer ago go whatever ``keep`` says, and so does the one that the current one
        replaced: who was forgotten in the marts must not live on here. 0 means no bound.
    """

    keep: int = 5
    max_age_days: float = 0.0

    def superfluous(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return the releases to remove, oldest first.

        The current one stays, and unless it is too old the one that it replaced: people go back to that one. Of the
        others the newest stay, as many as ``keep`` leaves room for. What cannot be read is left to people: a fault
        of the disk must not choose what goes.

        Parameters
        ----------
        entries
            All releases in the order of publication, the current one marked.
        """
        readable = [entry for entry in entries if entry.manifest]
        needed = {entry.manifest.replaces for entry in readable if entry.current and entry.manifest}
        others = [entry for entry in readable if not entry.current and entry.name not in needed]
        room = max(0, max(1, self.keep) - (len(readable) - len(others)))
        gone = {entry.name for entry in others[: max(0, len(others) - room)]}
        if self.max_age_days:
            oldest = datetime.now(UTC) - timedelta(days=self.max_age_days)
            gone |= {entry.name for entry in readable if not entry.current and (_published(entry) or oldest) < oldest}
        return [entry for entry in readable if entry.name in gone]


def prune(entries: Sequence[Entry], retention: Retention, delete: Callable[[Path], None]) -> list[str]:
    """Remove what a store keeps no longer, and return the names.

    For the process that holds the publisher's lock.

    Parameters
    ----------
    entries
        All releases in the order of publication, the current one marked.
    retention
        What stays.
    delete
        Removes one, by its folder.

    Raises
    ------
    ArtifactWriteError
        If one cannot be removed.
    """
    removed = []
    for entry in retention.superfluous(entries):
        delete(entry.path)
        log.info("removed an old release", extra=keys(release=entry.name))
        removed.append(entry.name)
    if retention.max_age_days:
        for path in (entry.path for entry in entries if not entry.current and _published(entry) is None):
            log.warning("a release does not say how old it is, and stays: remove its folder", extra=keys(path=path))
    return removed


def prune_calmly(entries: Callable[[], Sequence[Entry]], retention: Retention, delete: Callable[[Path], None]) -> None:
    """Remove what a store keeps no longer; that it failed undoes nothing of what a run did."""
    try:
        prune(entries(), retention, delete)
    except (ArtifactWriteError, LockHeld, ReleaseError, StoreError) as error:
        log.warning("an old release could not be removed; the next run tries again", extra=keys(reason=error))


def clean(pointer: Pointer) -> None:
    """Remove what interrupted runs left; nobody reads it.

    For the process that holds the publisher's lock.

    Raises
    ------
    ArtifactWriteError
        If something cannot be removed.
    """
    releases = pointer.shelf.path
    with writing(f"read {releases}"):
        stale = [path for path in releases.iterdir() if path.name.startswith((STAGING, TRASH))]
    if os.path.lexists(left := waiting(pointer.link)):
        stale.append(left)
    for path in stale:
        remove(path)
        log.info("removed what an interrupted run left", extra=keys(path=path))


def _published(entry: Entry) -> datetime | None:
    """Return when a release was published, by its own words; None where it does not say."""
    try:
        moment = datetime.fromisoformat("" if entry.manifest is None else entry.manifest.created)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
