"""The release store: a folder of immutable releases and a link to the current one.

::

    models/
        v1 -> releases/20261123T201500Z-3f9a     the current release
        releases/20261123T201500Z-3f9a/          immutable
        releases/.staging-20261124T201500Z-77c1/ in the making: nobody reads it
        .lock                                    one publisher at a time

Publishing and rolling back are one ``rename`` of the link. Readers resolve the link once and open
everything below the folder that it pointed to.
"""

from __future__ import annotations

import errno
import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.errors import ArtifactCorrupt, ArtifactWriteError, ReleaseError, ReleaseNotFound
from recsys.log import events, keys
from recsys.pulse import progress, working
from recsys.release.check import Check, FreshProcess, check_here
from recsys.release.durable import TEMPORARY, make_folder, point_link, remove, rename, writing
from recsys.release.lock import publisher_lock
from recsys.release.signature import key_from_environment
from recsys.release.staging import Staging
from recsys.release.verify import read_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recsys.release.manifest import Manifest

log = events(__name__)

CURRENT = "current"
"""What people call the release that ``v1`` points to."""
LINK = "v1"
RELEASES = "releases"
UNRELEASED = "unreleased-"
"""Prefix of plain folders that were found at ``v1`` and moved aside; never pruned."""

_STAGING = ".staging-"
_TRASH = ".trash-"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True)
class Entry:
    """One release of a store, as a list shows it.

    Attributes
    ----------
    name
        The run id.
    path
        Its folder.
    current
        Whether ``v1`` points to it.
    manifest
        What it says about itself; None where that cannot be read.
    problem
        Why the manifest cannot be read; empty where it can.
    """

    name: str
    path: Path
    current: bool
    manifest: Manifest | None
    problem: str = ""


class ReleaseStore:
    """Publishes releases into a folder, lists them, and goes back to older ones.

    Parameters
    ----------
    root
        The folder, ``models`` by default on the command line; made by the first publisher.
    keep
        How many releases stay, the current one among them; older ones are removed after a publish.
    key
        Signs and checks manifests; the one in ``RECSYS_SIGNING_KEY``, if there is one, when not
        given.
    check
        Takes a sealed folder and the key, and raises if it is not a sound release; a fresh process
        does it when not given.
    """

    def __init__(
        self, root: Path | str, *, keep: int = 5, key: bytes | None = None, check: Check | None = None
    ) -> None:
        self.root = Path(root)
        self.keep = max(1, keep)
        self.key = key or key_from_environment()
        self._check = check or FreshProcess()
        self._releases = self.root / RELEASES
        self._link = self.root / LINK

    def current(self) -> str | None:
        """Return the name of the current release, or None where there is none.

        Raises
        ------
        ReleaseNotFound
            If the link cannot be read: that is not the same as none.
        """
        try:
            target = self._link.readlink()
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.EINVAL, errno.ENOTDIR}:  # no link, or a plain folder
                return None
            raise ReleaseNotFound(f"{self._link} cannot be read: {error.strerror or error}") from error
        return target.name if (self.root / target).is_dir() else None

    def names(self) -> list[str]:
        """Return the names of all releases, oldest first.

        Names sort by time where they are run ids of the command line; what decides is when the
        manifest was written.
        """
        return [entry.name for entry in self.entries()]

    def entries(self) -> list[Entry]:
        """Return all releases, oldest first; one that cannot be read says why."""
        current = self.current()
        found = [self._entry(path, current) for path in self._folders()]
        return sorted(found, key=lambda entry: (entry.manifest.created if entry.manifest else "", entry.name))

    def _folders(self) -> list[Path]:
        try:
            paths = list(self._releases.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ReleaseNotFound(f"{self._releases} cannot be read: {error.strerror or error}") from error
        return [path for path in paths if _NAME.fullmatch(path.name) and not path.name.startswith(UNRELEASED)]

    def _entry(self, path: Path, current: str | None) -> Entry:
        try:
            return Entry(path.name, path, path.name == current, read_manifest(path, self.key))
        except ReleaseError as error:
            return Entry(path.name, path, path.name == current, None, str(error))

    def path(self, name: str = CURRENT) -> Path:
        """Return the folder of a release.

        Parameters
        ----------
        name
            A run id, or ``current``.

        Raises
        ------
        ReleaseNotFound
            If there is no such release; the message names those that there are.
        """
        if name == CURRENT:
            current = self.current()
            if current is None:
                raise ReleaseNotFound(f"{self._link} points to no release; {self._known()}")
            return self._releases / current
        path = self._releases / name
        if not _NAME.fullmatch(name) or not path.is_dir():
            raise ReleaseNotFound(f"there is no release {name!r} in {self._releases}; {self._known()}")
        return path

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
        path = self.path(name)
        manifest = read_manifest(path, self.key)
        if manifest.release != path.name:
            raise ArtifactCorrupt(
                f"{path} holds the release {manifest.release}: a folder was renamed or copied over another"
            )
        return manifest

    def verify(self, name: str = CURRENT) -> Manifest:
        """Check every byte of a release, load it, and put its golden queries to it.

        Raises
        ------
        ReleaseNotFound, ArtifactCorrupt, IncompatibleArtifact
            If it is not sound.
        """
        with working("verify"):
            manifest = self.manifest(name)
            check_here(self.path(name), self.key)
        return manifest

    @contextmanager
    def staging(self, run_id: str) -> Iterator[Staging]:
        """Hold the publisher's lock and a fresh folder to make a release in.

        What interrupted runs left is removed first. Leaving the block without having published
        removes the folder; the current release is as it was.

        Parameters
        ----------
        run_id
            Name of the release: letters, digits, ``.``, ``_`` and ``-``.

        Raises
        ------
        LockHeld
            If another publisher is at work.
        ArtifactWriteError
            If the folder cannot be written, or a release of that name exists.
        """
        if not _NAME.fullmatch(run_id) or run_id == CURRENT or run_id.startswith(UNRELEASED):
            raise ValueError(f"{run_id!r} cannot be the name of a release: use letters, digits, '.', '_' and '-'")
        make_folder(self._releases)
        with publisher_lock(self.root, run_id):
            self._clean()
            if (self._releases / run_id).exists():
                raise ArtifactWriteError(
                    f"the release {run_id} exists already in {self._releases}, and releases never change"
                )
            folder = self._releases / f"{_STAGING}{run_id}"
            make_folder(folder)
            current = self.current()
            try:
                yield Staging(run_id, folder, self._releases / current if current else None, self.key, self._publish)
            finally:
                with suppress(ArtifactWriteError):  # the next run removes it: the error that led here is what matters
                    remove(folder)

    def _clean(self) -> None:
        """Remove what interrupted runs left; nobody reads it."""
        with writing(f"read {self._releases}"):
            stale = [path for path in self._releases.iterdir() if path.name.startswith((_STAGING, _TRASH))]
        stale += self.root.glob(f".{LINK}{TEMPORARY}")
        for path in stale:
            remove(path)
            log.info("removed what an interrupted run left", extra=keys(path=path))

    def _publish(self, staging: Staging) -> None:
        with progress("checking the release in a fresh process", bar=False):
            self._check(staging.folder, self.key)
        folder = self._releases / staging.release
        rename(staging.folder, folder)
        try:
            self._make_current(staging.release)
        except ArtifactWriteError:
            # Withdrawn, so that nobody takes it for published; unless the link did move.
            if self.current() != staging.release:
                with suppress(ArtifactWriteError):
                    rename(folder, staging.folder)
            raise
        log.info("published", extra=keys(release=staging.release, path=folder))
        self._prune()

    def _make_current(self, name: str) -> None:
        if self._link.is_dir() and not self._link.is_symlink():
            with self._moved_aside():
                point_link(self._link, f"{RELEASES}/{name}")
        else:
            point_link(self._link, f"{RELEASES}/{name}")

    @contextmanager
    def _moved_aside(self) -> Iterator[None]:
        """Move a plain folder at ``v1``, parts that somebody saved there, out of the link's way."""
        number = sum(path.name.startswith(UNRELEASED) for path in self._releases.iterdir()) + 1
        aside = self._releases / f"{UNRELEASED}{number}"
        rename(self._link, aside)
        log.warning("a plain folder stood where the link to the current release goes", extra=keys(moved_to=aside))
        try:
            yield
        except ArtifactWriteError:
            if not self._link.is_symlink():
                rename(aside, self._link)
            raise

    def rollback(self, name: str | None = None) -> Manifest:
        """Make an older release current again.

        Parameters
        ----------
        name
            Its run id; the release that the current one replaced when not given.

        Returns
        -------
        Manifest
            Of the release that is current now.

        Raises
        ------
        ReleaseNotFound
            If there is no such release, or the current one replaced none.
        ArtifactCorrupt, IncompatibleArtifact
            If it is not sound; the current release stays.
        LockHeld
            If a publisher is at work.
        ArtifactWriteError
            If the link cannot be moved; the current release stays.
        """
        if not self._releases.is_dir():
            raise ReleaseNotFound(f"there is no release in {self.root}; {self._known()}")
        with publisher_lock(self.root, f"rollback to {name or 'the previous release'}"):
            target = name or self._previous()
            manifest = self.verify(target)
            self._make_current(manifest.release)
        log.info("rolled back", extra=keys(release=manifest.release))
        return manifest

    def _previous(self) -> str:
        current = self.manifest(CURRENT)
        if current.replaces is None:
            raise ReleaseNotFound(
                f"the current release {current.release} replaced none: there is nothing to go back to"
            )
        return current.replaces

    def _prune(self) -> None:
        """Remove all but the newest releases, never the current one, and none that cannot be read."""
        try:
            # What cannot be read is left to people: a fault of the disk must not choose what goes.
            old = [entry for entry in self.entries() if entry.manifest and not entry.current]
            for entry in old[: max(0, len(old) - (self.keep - 1))]:
                trash = self._releases / f"{_TRASH}{entry.name}"
                # Renamed first: a release that is half removed must not be listed as one.
                rename(entry.path, trash)
                remove(trash)
                log.info("removed an old release", extra=keys(release=entry.name))
        except (ArtifactWriteError, ReleaseError) as error:
            log.warning("an old release could not be removed; the next run tries again", extra=keys(reason=error))
