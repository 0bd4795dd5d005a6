"""Where a reader finds a release: a path, and what brings it up to date before each look."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from recsys.errors import ArtifactCorrupt, ReleaseNotFound, StoreError
from recsys.release.pointer import LINK
from recsys.release.seal import read_seal
from recsys.release.shelf import RELEASES
from recsys.system.log import events, keys
from recsys.system.paths import is_address, local_path

if TYPE_CHECKING:
    from pathlib import Path

    from recsys.release.keys import PublicKeys
    from recsys.release.objects import ObjectStorage

log = events(__name__)


class Place(Protocol):
    """Where a release is read.

    Attributes
    ----------
    path
        A folder, or a link to one.
    problem
        Why it may be older than what is published; empty where it is not.
    """

    path: Path
    problem: str

    def refresh(self) -> None:
        """Bring the path up to date.

        Raises
        ------
        ReleaseNotFound, ArtifactCorrupt, IncompatibleArtifact
            If what is published now cannot be used; the path is as it was.
        StoreError
            If the store cannot be asked, and nothing was ever copied.
        """
        ...

    def copy_again(self) -> bool:
        """Replace a damaged copy, and say whether there was anything to copy from."""
        ...


class FolderPlace:
    """A path of this machine, which publishers themselves bring up to date; see :class:`Place`."""

    problem = ""

    def __init__(self, path: Path) -> None:
        self.path = path

    def refresh(self) -> None:
        """Do nothing."""

    def copy_again(self) -> bool:
        """Say that there is nothing to copy from."""
        return False


class StorePlace:
    """The copy that this machine has of a release in an object store; see :class:`Place`.

    Parameters
    ----------
    storage
        The store.
    name
        A release; None for the current one.
    keys
        When given, one of them must have signed it.
    """

    def __init__(self, storage: ObjectStorage, name: str | None, keys: PublicKeys | None) -> None:
        self._storage, self._name, self._keys = storage, name, keys
        self._mirror = storage.mirror
        self.path = self._mirror.link if name is None else self._mirror.releases / name
        self.problem = ""

    def refresh(self) -> None:
        """Copy what is current now, unless it is here; where the store is away, what is here goes on."""
        try:
            self._refresh()
        except StoreError as error:
            if not self.path.exists():
                raise
            if not self.problem:
                log.warning("the store cannot be reached; the copy goes on", extra=keys(reason=error))
            self.problem = str(error)
        else:
            self.problem = ""

    def _refresh(self) -> None:
        if self._name is not None:
            self._mirror.get(self._name)
            return
        current = self._storage.current()
        if current is None:
            raise ReleaseNotFound(f"no release is current in {self._storage.address}; `recsys train` publishes one")
        if current.name == self._mirror.current() and self.path.exists():
            return
        read_seal(self._mirror.get(current.name), self._keys)  # what nobody signed does not take the place of what is
        self._mirror.point(current.name)

    def copy_again(self) -> bool:
        """Replace the copy."""
        name = self._name or self._mirror.current()
        if name is None:
            return False
        log.warning("the copy of a release is damaged, and is made again", extra=keys(release=name))
        self._mirror.forget(name)
        try:
            self._mirror.get(name)
        except StoreError as error:
            raise ArtifactCorrupt(f"the copy of {name} is damaged, and cannot be made again: {error}") from error
        return True


def address_of(store: str, release: str) -> str:
    """Return the address of a release of a store, as :func:`place_at` takes it."""
    return f"{store}/{RELEASES}/{release}"


def place_at(given: Path | str, keys: PublicKeys | None = None) -> Place:
    """Return the place that a path or an address means.

    Parameters
    ----------
    given
        ``models/v1``, ``models/releases/NAME``; or ``s3://bucket/models``, with ``/v1`` or ``/releases/NAME`` after it.
    keys
        When given, one of them must have signed the release.

    Raises
    ------
    ConfigError
        If it is neither.
    MissingExtra
        If the extra that reads the address is not installed.
    """
    if not is_address(given):
        return FolderPlace(local_path(given, "the release"))
    from recsys.release.objects import ObjectStorage

    address, name = os.fspath(given).rstrip("/").removesuffix(f"/{LINK}"), None
    if f"/{RELEASES}/" in address:
        address, _, name = address.rpartition(f"/{RELEASES}/")
    return StorePlace(ObjectStorage.at(address), name, keys)
