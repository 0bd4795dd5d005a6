"""The release store: immutable releases, and a pointer to the current one.

In a folder of this machine:

::

    models/
        v1 -> releases/20261123T201500Z-3f9a     the current release
        releases/20261123T201500Z-3f9a/          immutable
        releases/.staging-20261124T201500Z-77c1/ in the making: nobody reads it
        .lock                                    one publisher at a time
        log.jsonl                                who published, refused, held and went back
        hold.json                                while it is there, nothing is published

Publishing and rolling back are one ``rename`` of the link. Readers resolve the link once and open
everything below the folder that it pointed to. How an object store does the same: :mod:`recsys.release.objects`.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.errors import ArtifactCorrupt, ArtifactWriteError, ReleaseError, ReleaseNotFound
from recsys.release.card import Card
from recsys.release.check import Check, FreshProcess, check_here
from recsys.release.durable import make_folder, remove
from recsys.release.entries import Entry, next_number, read_entries
from recsys.release.hold import NO_REASON, Holds
from recsys.release.journal import Journal
from recsys.release.keys import Keys
from recsys.release.pruning import Retention, prune, prune_calmly
from recsys.release.shelf import is_release_name
from recsys.release.staging import STAGING, Label, Staging
from recsys.release.storage import Storage, storage_at
from recsys.release.verify import read_manifest
from recsys.release.witness import require_signed, sign_again, sign_switch
from recsys.system.log import events, keys
from recsys.system.pulse import progress, working

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recsys.release.manifest import Manifest
    from recsys.release.pointer import Current

log = events(__name__)

CURRENT = "current"
"""What people call the release that ``v1`` points to."""


class ReleaseStore:
    """Publishes releases, lists them, and goes back to older ones.

    Parameters
    ----------
    root
        The folder, made by the first publisher; an address such as ``s3://bucket/models``; or a storage.
    keep, max_age_days
        Which releases stay; see :class:`recsys.release.pruning.Retention`.
    keys
        Check releases, and sign what is published; those that the environment names when not given.
    check
        Takes a sealed folder and the public keys, and raises if it is not a sound release; a fresh process
        does it when not given.

    Attributes
    ----------
    storage, root, address, place
        Where they are kept, its folder of this machine, how people name it, and what opens it.
    holds, journal
        Places, reads and lifts the hold on publishing; says who published, refused, held and went back.
    """

    def __init__(
        self,
        root: Path | str | Storage,
        *,
        keep: int = 5,
        max_age_days: float = 0.0,
        keys: Keys | None = None,
        check: Check | None = None,
    ) -> None:
        self.storage = storage_at(root) if isinstance(root, Path | str) else root
        self.retention = Retention(keep, max_age_days)
        self.keys = keys or Keys.from_environment()
        self._check = check or FreshProcess()
        self.root, self.address = self.storage.folder, self.storage.address
        self.place = self.root if str(self.root) == self.address else self.address
        self.holds, self.journal = Holds(self.storage), Journal(self.storage)

    def current(self) -> str | None:
        """Return the name of the current release, or None where there is none.

        Raises
        ------
        ReleaseNotFound, ArtifactCorrupt, IncompatibleArtifact
            If the pointer names no release: that is not the same as none.
        """
        return _name(self.storage.current())

    def names(self) -> list[str]:
        """Return the names of all releases in the order of publication; see :mod:`recsys.release.sequence`."""
        return [entry.name for entry in self._entries(self._seen())]

    def entries(self, *, marked: bool = True) -> list[Entry]:
        """Return all releases in the order of publication; first those that cannot be read, which say why.

        The current one is marked, where that is asked for: then it must be known, see :meth:`current`.
        """
        return self._entries(self.storage.current() if marked else None)

    def _entries(self, current: Current | None) -> list[Entry]:
        return read_entries(self.storage.list(current), current, self.keys.public)

    def path(self, name: str = CURRENT) -> Path:
        """Return the folder of a release, on this machine.

        Parameters
        ----------
        name
            A run id, or ``current``.

        Raises
        ------
        ReleaseNotFound
            If there is no such release; the message names those that there are.
        """
        return self.storage.get(self._place(name))

    def where(self, name: str = CURRENT) -> str:
        """Return how people find a release; see :meth:`path`."""
        return self.storage.where(self._place(name))

    def _place(self, name: str) -> Current:
        """Return where a release is, and what it is called."""
        if name != CURRENT and (found := self.storage.find(name)) is not None:
            return found
        current = None
        with suppress(ReleaseError) if name != CURRENT else nullcontext():
            current = self.storage.current()
        if current is not None and name in {CURRENT, current.name}:
            return current
        if name == CURRENT:
            raise ReleaseNotFound(f"no release is current in {self.address}; {self._known()}")
        raise ReleaseNotFound(f"there is no release {name!r} in {self.address}; {self._known()}")

    def _known(self) -> str:
        names = self.names()
        return f"there are {', '.join(names[-5:])}" if names else "there are none yet: `recsys train` publishes one"

    def manifest(self, name: str = CURRENT) -> Manifest:
        """Return what a release says about itself, its digest and signature checked.

        Raises
        ------
        ReleaseNotFound, ArtifactCorrupt, IncompatibleArtifact
            If there is no such release, or its manifest cannot be trusted.
        """
        place = self._place(name)
        manifest = read_manifest(place.folder, self.keys.public)
        if manifest.release != place.name:
            raise ArtifactCorrupt(
                f"{place.folder} holds the release {manifest.release}: a folder was renamed or copied over another"
            )
        return manifest

    def verify(self, name: str = CURRENT) -> Manifest:
        """Check every byte of a release, load it, and repeat its golden queries.

        Raises
        ------
        ReleaseNotFound, ArtifactCorrupt, IncompatibleArtifact
            If it is not sound.
        """
        with working("verify"):
            manifest = self.manifest(name)
            check_here(self.path(name), self.keys.public)
            self.storage.prove_kept(self._place(name), manifest)
        return manifest

    @contextmanager
    def staging(self, run_id: str) -> Iterator[Staging]:
        """Hold the publisher's lock and a fresh folder to make a release in.

        What interrupted runs left is removed first. Leaving the block without having published removes the folder;
        the current release is as it was. Leaving it without an error removes the releases that are kept no longer.

        Parameters
        ----------
        run_id
            Name of the release: letters, digits, ``.``, ``_`` and ``-``.

        Raises
        ------
        LockHeld
            If another publisher is at work.
        PublishingHeld
            If somebody holds publishing; looked for again before the switch.
        ArtifactWriteError
            If the folder cannot be written, or a release of that name exists.
        """
        if not is_release_name(run_id) or run_id == CURRENT:
            raise ValueError(f"{run_id!r} cannot be the name of a release: use letters, digits, '.', '_' and '-'")
        keys = self.keys.for_publishing()
        self.storage.make()
        with self.storage.lease(run_id):
            self.holds.refuse("nothing was fetched, and nothing was published")
            current = self.storage.settle()
            require_signed(self.storage, keys, current)
            self.journal.find(_name(current))
            if self.storage.find(run_id) is not None:
                there = f"the release {run_id} exists already in {self.address}"
                raise ArtifactWriteError(f"{there}, and releases never change")
            label = Label(run_id, next_number(lambda: self._entries(current)))
            folder = self.storage.releases / f"{STAGING}{run_id}"
            make_folder(folder)
            if current is not None:
                current = replace(current, folder=self._fetched(current))
            try:
                staging = Staging(label, folder, current, keys, self._publish)
                yield staging
                if current is not None and not staging.published:
                    sign_again(self.storage, keys, current)
                prune_calmly(self.entries, self.retention, self.storage.delete)
            finally:
                with suppress(ArtifactWriteError):  # the next run removes it: the error that led here is what matters
                    remove(folder)

    def _fetched(self, current: Current) -> Path:
        """Return the folder of the current release; of one that is not sound, what there is: the run says so."""
        try:
            return self.storage.get(current)
        except ReleaseError as error:
            log.warning("the current release is not sound", extra=keys(reason=error))
            return current.folder

    def _publish(self, staging: Staging, manifest: Manifest) -> None:
        with progress("checking the release in a fresh process", bar=False):
            self._check(staging.folder, self.keys.public)
        admit = partial(self.holds.refuse, "nothing was published")
        signed = sign_switch(self.storage, self.keys, staging.release, staging.folder, "published")
        with self.storage.put(staging.folder, staging.release), self.holds.guard(f"run {staging.release}"):
            admit()
            with self.journal.publishing(manifest, partial(self.storage.points_to, staging.release)):
                self.storage.point(staging.release, admit, signed)
        log.info("published", extra=keys(release=staging.release, path=self.address))

    def _seen(self) -> Current | None:
        with suppress(ReleaseError):  # none is known to be
            return self.storage.look()
        return None

    def rollback(
        self, name: str | None = None, *, reason: str | None = None, by: str | None = None, hold: bool = True
    ) -> Manifest:
        """Make an older release current again, and hold publishing until somebody lifts that.

        Parameters
        ----------
        name
            Its run id; the release that the current one replaced when not given.
        reason
            Why, for the hold. Without a reason a hold that is there stays as it is.
        by
            Who; the user of the operating system when not given.
        hold
            False leaves publishing as it is: the next run publishes again what it makes of the same data.

        Returns
        -------
        Manifest
            The manifest of the release that is current now.

        Raises
        ------
        ReleaseNotFound
            If there is no such release, or the current one replaced none.
        ArtifactCorrupt, IncompatibleArtifact
            If it is not sound; the current release stays.
        ArgumentError
            If reason or name is not one line of text.
        LockHeld
            If a publisher is at work.
        ArtifactWriteError
            If the hold cannot be placed or the link cannot be moved; the current release stays.
        """
        card = Card.signed(NO_REASON if reason is None else reason, by)
        if not self.storage.exists():
            raise ReleaseNotFound(f"there is no release in {self.address}; {self._known()}")
        with self.storage.lease(f"rollback to {name or 'the previous release'}"):
            target = name or self._previous()
            manifest = self.verify(target)
            release, before = manifest.release, _name(self._seen())
            signed = sign_switch(self.storage, self.keys, release, self._place(target).folder, "rolled back")
            card = card.rolled_back(before, release)
            moved = partial(self.storage.points_to, release)
            placing = self.holds.placed_with(card, moved, keep=reason is None)
            with placing if hold else nullcontext():
                self.journal.find(before)
                with self.journal.going_back(card, moved):
                    self.storage.point(release, lambda: None, signed)
        log.info("rolled back", extra=keys(release=release, by=card.by, reason=card.reason))
        return manifest

    def _previous(self) -> str:
        current = self.manifest(CURRENT)
        if current.replaces is None:
            raise ReleaseNotFound(
                f"the current release {current.release} replaced none: there is nothing to go back to"
            )
        try:
            self._place(current.replaces)
        except ReleaseNotFound as error:
            raise ReleaseNotFound(
                f"the current release {current.release} replaced {current.replaces}, which is no longer in"
                f" {self.address}: say where to go back to with `recsys rollback NAME`; {self._known()}"
            ) from error
        return current.replaces

    def superfluous(self) -> list[str]:
        """Return the names of the releases that :meth:`prune` would remove, oldest first."""
        return [entry.name for entry in self.retention.superfluous(self.entries())]

    def prune(self) -> list[str]:
        """Remove what is kept no longer, and what interrupted runs left; return the names of the releases.

        Raises
        ------
        ReleaseNotFound, ArtifactCorrupt, IncompatibleArtifact
            If what stands at ``v1`` names no release: the current one would not be known.
        LockHeld
            If a publisher is at work.
        ArtifactWriteError
            If something cannot be removed.
        """
        if not self.storage.exists():
            return []
        with self.storage.lease("prune"):
            self.storage.settle()
            return prune(self.entries(), self.retention, self.storage.delete)


def _name(current: Current | None) -> str | None:
    return None if current is None else current.name
