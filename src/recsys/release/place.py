"""Where a reader finds a release: a path, and what brings it up to date before each look."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Protocol

from recsys.errors import ArtifactCorrupt, ReleaseError, ReleaseNotFound, StoreError
from recsys.release.pointer import LINK
from recsys.release.seal import open_plain, read_seal
from recsys.release.shelf import RELEASES, is_release_name
from recsys.release.switches import POINTER
from recsys.release.verify import verify
from recsys.release.witness import Witness
from recsys.system.log import events, keys
from recsys.system.paths import is_address, local_path

if TYPE_CHECKING:
    from pathlib import Path

    from recsys.release.keys import PublicKeys
    from recsys.release.objects import ObjectStorage
    from recsys.release.switches import Switch

log = events(__name__)

_RELEASE = re.compile(rf"(?P<store>s3://[^/]+(?:/.+)?)/{RELEASES}/(?P<name>[^/]+)")
_LINKS = 16
"""Links to links that are followed."""


class Place(Protocol):
    """Where a release is read.

    Attributes
    ----------
    path
        A folder, or a link to one.
    problem
        Why it may be older than what is published; empty where it is not.
    switch
        The signed switch that made the loaded release current; None without a key, or where none was ever signed.
    asks_for_a_key
        Whether the switch must be signed.
    copies
        Whether what is published has to be copied first.
    """

    path: Path
    problem: str
    switch: Switch | None
    asks_for_a_key: bool
    copies: bool

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

    def vouch(self, release: str, folder: Path) -> None:
        """Look whether a release that was loaded is the one that was signed to be current.

        Raises
        ------
        ArtifactCorrupt
            If it is not, or is older than what was seen; see :class:`recsys.release.witness.Witness`.
        """
        ...

    def copy_again(self) -> bool:
        """Replace a damaged copy, and say whether there was anything to copy from."""
        ...


class FolderPlace:
    """A path of this machine, which publishers themselves bring up to date; see :class:`Place`.

    Parameters
    ----------
    path
        A release's folder, or ``v1`` of a folder of releases.
    public
        When given, the switch to a release must be signed with one of them.
    """

    problem = ""
    copies = False

    def __init__(self, path: Path, public: PublicKeys | None) -> None:
        self.path = path
        self.switch: Switch | None = None
        self._link = _pointing(path)  # a release that somebody names is nobody's switch
        asked = public is not None and self._link is not None
        self._witness = Witness(str(self._link.parent.resolve()), public) if asked and self._link and public else None
        self.asks_for_a_key = self._witness is not None

    def refresh(self) -> None:
        """Do nothing."""

    def vouch(self, release: str, folder: Path) -> None:
        """Look at the signed switches beside the link."""
        if self._witness is not None and self._link is not None:
            self.switch = self._witness.accept(_pointer_beside(self._link), release, folder)

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
    public
        When given, the release, and the switch to it, must be signed with one of them.
    """

    copies = True

    def __init__(self, storage: ObjectStorage, name: str | None, public: PublicKeys | None) -> None:
        self._storage, self._name, self._public = storage, name, public
        self._mirror = storage.mirror
        self.path = self._mirror.link if name is None else self._mirror.releases / name
        self.problem = ""
        self.switch: Switch | None = None
        self._witness = Witness(storage.identity, public) if public and name is None else None
        self.asks_for_a_key = self._witness is not None

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
        current, pointer = self._storage.standing()
        if current is None:
            raise ReleaseNotFound(f"no release is current in {self._storage.address}; `recsys train` publishes one")
        pointer = None if self._witness is None else pointer
        known = current.name == self._mirror.current() and self.path.exists()
        if known and pointer == _pointer_beside(self.path):
            return
        folder = self._mirror.get(current.name)
        read_seal(folder, self._public)  # what nobody signed does not take the place of what somebody did
        if self._witness is not None:
            self._witness.accept(pointer, current.name, folder)
        self._mirror.point(current.name, pointer)

    def vouch(self, release: str, folder: Path) -> None:
        """Look at the copy of the signed switches."""
        if self._witness is not None:
            self.switch = self._witness.accept(_pointer_beside(self.path), release, folder)

    def copy_again(self) -> bool:
        """Replace the copy, where it is that which is damaged."""
        name = self._name or self._mirror.current()
        if name is None or _is_whole(self._mirror.releases / name):
            return False
        log.warning("the copy of a release is damaged, and is made again", extra=keys(release=name))
        try:
            self._mirror.get_again(name)
        except StoreError as error:
            raise ArtifactCorrupt(f"the copy of {name} is damaged, and cannot be made again: {error}") from error
        return True


def _is_whole(folder: Path) -> bool:
    try:
        verify(folder)
    except ArtifactCorrupt:
        return False
    except ReleaseError:
        return True
    return True


def _pointing(path: Path) -> Path | None:
    """Return the link ``v1`` of a folder of releases that a path is, or leads to by other links; else None."""
    for _ in range(_LINKS):
        if path.name == LINK and path.parent.name != RELEASES:
            return path
        if not path.is_symlink():
            return None
        path = path.parent / path.readlink()
    return None


def _pointer_beside(link: Path) -> bytes | None:
    try:
        with open_plain(link.with_name(POINTER)) as file:
            return file.readall()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ArtifactCorrupt(f"{link.with_name(POINTER)} cannot be read: {error.strerror or error}") from error


def address_of(store: str, release: str) -> str:
    """Return the address of a release of a store, as :func:`place_at` takes it."""
    return f"{store}/{RELEASES}/{release}"


def place_at(given: Path | str, public: PublicKeys | None = None) -> Place:
    """Return the place that a path or an address means.

    Parameters
    ----------
    given
        ``models/v1``, ``models/releases/NAME``; or ``s3://bucket/models``, with ``/v1`` or ``/releases/NAME`` after it.
    public
        When given, one of them must have signed the release, and the switch to it.

    Raises
    ------
    ConfigError
        If it is neither.
    MissingExtra
        If the extra that reads the address is not installed.
    """
    if not is_address(given):
        return FolderPlace(local_path(given, "the release"), public)
    from recsys.release.objects import ObjectStorage

    address = os.fspath(given).rstrip("/")
    if match := _RELEASE.fullmatch(address):
        if not is_release_name(match["name"]):
            raise ReleaseNotFound(f"{match['name']!r} is no name of a release")
        return StorePlace(ObjectStorage.at(match["store"]), match["name"], public)
    return StorePlace(ObjectStorage.at(address.removesuffix(f"/{LINK}")), None, public)
