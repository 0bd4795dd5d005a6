"""The seam between the release store and where releases are kept: a folder, or an object store.

What a store decides (numbers, holds, the log, what goes) is written once, above this seam; how a release gets there
whole, and how one step makes it current, is each storage's own.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from recsys.release.folder import FolderStorage
from recsys.system.paths import is_address, local_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from recsys.release.manifest import Manifest
    from recsys.release.pointer import Current


class Note(Protocol):
    """A small file of a store that is replaced whole: the hold.

    Attributes
    ----------
    address
        How people find it.
    """

    address: str

    def read(self) -> bytes | None:
        """Return its content; None where it is not there.

        Raises
        ------
        ArtifactCorrupt
            If something is there that cannot be read.
        """
        ...

    def write(self, data: bytes) -> None:
        """Replace its content.

        Raises
        ------
        ArtifactWriteError
            If it cannot be written whole.
        """
        ...

    def replace(self, before: bytes | None, after: bytes | None) -> bool:
        """Replace its content if it still is what was read, and say whether it was; None is no file.

        Raises
        ------
        ArtifactWriteError
            If it cannot be written whole, or removed.
        """
        ...

    def guard(self, holder: str) -> AbstractContextManager[None]:
        """Keep others from writing it while the block lasts, where that is how the storage keeps them apart.

        Raises
        ------
        LockHeld
            If another process keeps it for more than ten seconds.
        """
        ...


class Log(Protocol):
    """The file of a store that only grows.

    Attributes
    ----------
    address
        How people find it.
    """

    address: str

    def read(self) -> bytes | None:
        """Return its content; see :meth:`Note.read`."""
        ...

    def update(self, holder: str, change: Callable[[bytes], bytes]) -> None:
        """Replace its content by what ``change`` makes of it, and lose no change that another process makes.

        Raises
        ------
        LockHeld
            If others leave no moment for it.
        ArtifactWriteError
            If it cannot be read or written.
        """
        ...


class Storage(Protocol):
    """Where releases are kept.

    Attributes
    ----------
    address
        How people name it: the folder, or ``s3://bucket/prefix``.
    identity
        What no other store has that this machine reads.
    folder
        The folder of this machine that holds it, or a copy of what was read from it.
    releases
        Where on this machine the folders of releases lie, and where new ones are made.
    """

    address: str
    identity: str
    folder: Path
    releases: Path

    @property
    def hold(self) -> Note:
        """The small file of the hold."""
        ...

    @property
    def log(self) -> Log:
        """The file of the log."""
        ...

    def exists(self) -> bool:
        """Say whether there is, or was, a release."""
        ...

    def current(self) -> Current | None:
        """Return the current release, or None where there is none; its folder has its seal at least.

        Raises
        ------
        ReleaseNotFound, ArtifactCorrupt, IncompatibleArtifact
            If what is there names no release: that is not the same as none.
        """
        ...

    def look(self) -> Current | None:
        """Look once, and tell nobody; otherwise as :meth:`current`."""
        ...

    def list(self, current: Current | None) -> dict[Path, str]:
        """Return the names of all releases by folder, each with its seal at least.

        Raises
        ------
        ReleaseNotFound
            If they cannot be listed.
        """
        ...

    def find(self, name: str) -> Current | None:
        """Return the release of a name, its seal at least; None where there is none."""
        ...

    def get(self, release: Current) -> Path:
        """Return the folder of this machine that has the whole release.

        Raises
        ------
        ArtifactCorrupt
            If what the storage holds is not what was published.
        """
        ...

    def prove_kept(self, release: Current, manifest: Manifest) -> None:
        """Read what the storage itself holds of a release, and compare every digest.

        Raises
        ------
        ArtifactCorrupt
            If it is not what was published.
        """
        ...

    def make(self) -> None:
        """Make what the first publisher finds missing."""
        ...

    def lease(self, holder: str) -> AbstractContextManager[None]:
        """Be the only publisher while the block lasts.

        Raises
        ------
        LockHeld
            If another one is at work.
        """
        ...

    def settle(self) -> Current | None:
        """Return the current release once the pointer names it, and remove what interrupted runs left.

        For who holds the lease.
        """
        ...

    def put(self, sealed: Path, name: str) -> AbstractContextManager[None]:
        """Bring a sealed folder in among the releases, whole.

        Where the block fails and the release did not become current, it is no release again.
        """
        ...

    def pointer(self) -> bytes | None:
        """Return the signed switches; see :mod:`recsys.release.switches`. None where there are none."""
        ...

    def point(self, name: str, admit: Callable[[], None], pointer: bytes | None) -> None:
        """Make a release current in one step. For who holds the lease.

        Parameters
        ----------
        name
            Which.
        admit
            Raises if somebody has placed a hold; asked so late that none slips in between.
        pointer
            The signed switches; None where nothing is signed.
        """
        ...

    def points_to(self, name: str) -> bool:
        """Say whether the pointer itself says that a release is current."""
        ...

    def delete(self, release: Path) -> None:
        """Remove a release of :meth:`list`; a part that stays is listed as none. For who holds the lease."""
        ...

    def where(self, release: Current) -> str:
        """Return how people find a release."""
        ...

    def keep_refused(self, run_id: str, files: Mapping[str, bytes], keep: int) -> str | None:
        """Write what is known about a refused candidate; see :func:`recsys.release.refused.keep_refused`.

        Returns
        -------
        str or None
            How people find it; None if none was kept.
        """
        ...

    def prove(self) -> int:
        """Go on where a release could be written, and return the bytes that are free on this machine.

        Raises
        ------
        ArtifactWriteError
            If it could not.
        """
        ...

    def refuse_publisher(self) -> None:
        """Go on where no publisher is at work; nothing is taken.

        Raises
        ------
        LockHeld
            If one is.
        """
        ...


def storage_at(given: Path | str, what: str = "the folder of the releases") -> Storage:
    """Return the storage at a folder, or at an address such as ``s3://bucket/prefix``.

    Parameters
    ----------
    given
        As people wrote it.
    what
        What it is, for the error.

    Raises
    ------
    ConfigError
        If it is neither.
    MissingExtra
        If the extra that reads the address is not installed.
    """
    if is_address(given):
        from recsys.release.objects import ObjectStorage

        return ObjectStorage.at(os.fspath(given))
    return FolderStorage(local_path(given, what))
