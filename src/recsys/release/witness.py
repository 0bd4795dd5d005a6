"""What a reader with a public key has seen of a store: it refuses a way back that nobody signed."""

from __future__ import annotations

import hashlib
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from recsys.errors import ArtifactCorrupt, ArtifactWriteError, LockHeld, ReleaseError
from recsys.release.durable import make_folder, sha256_of, write_bytes, writing
from recsys.release.layout import MANIFEST
from recsys.release.lock import file_lock
from recsys.release.records import read_record
from recsys.release.seal import unreadable
from recsys.release.switches import FORMAT, POINTER, Act, Claim, Switch, next_switch, read_switches
from recsys.system.log import events, keys
from recsys.system.paths import cache_folder

if TYPE_CHECKING:
    from pathlib import Path

    from recsys.release.keys import Keys, PublicKeys
    from recsys.release.pointer import Current
    from recsys.release.storage import Storage

log = events(__name__)

_FOLDER = "seen"
"""Name of the folder below the user's cache."""


class Witness:
    """Remembers the highest switch of a store, in memory and in the user's cache.

    Parameters
    ----------
    identity
        The store: its folder, resolved, or endpoint and address.
    public
        Keys of which one must have signed a switch.
    folder
        Where it is remembered; below the cache of the user when not given.
    """

    def __init__(self, identity: str, public: PublicKeys, folder: Path | None = None) -> None:
        self.address = identity.rpartition(" ")[2] if "://" in identity else identity
        self._public = public
        name = hashlib.sha256(identity.encode()).hexdigest()[:16]
        self._file = (folder or cache_folder() / _FOLDER) / f"{name}.json"
        self._lock = threading.Lock()
        self._highest: Switch | None = None

    @property
    def highest(self) -> Switch | None:
        """The highest switch that was ever seen here; None where none was."""
        with self._lock:
            remembered = self._remembered()
            known = [switch for switch in (self._highest, remembered) if switch is not None]
            return max(known, key=lambda switch: switch.number, default=None)

    def accept(self, pointer: bytes | None, release: str, folder: Path) -> Switch | None:
        """Return the switch that made a release current, and remember it; None where none was ever signed here.

        Parameters
        ----------
        pointer
            The content of ``pointer.json``; None where it is not there.
        release, folder
            The name of the release that is current, and its folder.

        Raises
        ------
        ArtifactCorrupt
            If the pointer is not signed, names another release, or is older than what was seen.
        """
        name, highest = f"{self.address}: {POINTER}", self.highest
        switches = read_switches(name, pointer, self._public)
        if not switches:
            if highest is None:
                return None
            raise ArtifactCorrupt(f"{name} is gone, and {_told(highest)} was seen: {self._cure}")
        try:
            digest = sha256_of(folder / MANIFEST)
        except OSError as error:
            raise unreadable(folder, error) from error
        switch = next((each for each in switches if (each.release, each.digest) == (release, digest)), None)
        if switch is None:
            raise ArtifactCorrupt(f"{name} names {switches[0].release}, and {release} is current: {self._cure}")
        if highest is not None:
            self._refuse_older(name, switch, highest)
        if highest is None or switch.number > highest.number:
            self._remember(switch)
        return switch

    def _refuse_older(self, name: str, switch: Switch, highest: Switch) -> None:
        if switch.store != highest.store:
            raise ArtifactCorrupt(f"{name} is that of another store: {self._cure}")
        if switch.number < highest.number:
            raise ArtifactCorrupt(
                f"{name} is old: it is {_told(switch)}, and {_told(highest)} was seen: somebody has put it back;"
                f" {self._cure}"
            )
        if switch.number == highest.number and switch != highest:
            raise ArtifactCorrupt(f"{name}: {_told(switch)} is not the one that was seen: {self._cure}")

    @property
    def _cure(self) -> str:
        return (
            "say which release is right with `recsys rollback NAME`, which signs that; if the store was made anew,"
            f" remove {self._file}"
        )

    def _remembered(self) -> Switch | None:
        try:
            return read_record(str(self._file), self._file.read_bytes(), Switch, FORMAT)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise ArtifactCorrupt(
                f"{self._file}, which says what was seen of {self.address}, cannot be read: {error.strerror or error};"
                " mend that, or set XDG_CACHE_HOME to a folder of this user"
            ) from error
        except ReleaseError as error:
            cure = f"it says what was seen of {self.address}: remove it if it is spoilt"
            raise ArtifactCorrupt(f"{error}; {cure}") from error

    def _remember(self, switch: Switch) -> None:
        with self._lock:
            self._highest = switch
            try:
                make_folder(self._file.parent)
                with file_lock(self._file.with_suffix(".lock"), "what was seen", patience_s=10):
                    before = self._remembered()
                    if before is None or before.number < switch.number:  # another process may have seen more
                        write_bytes(self._file, switch.model_dump_json(indent=1).encode() + b"\n")
            except (ArtifactWriteError, LockHeld) as error:
                log.warning("the switch is remembered until this process ends", extra=keys(reason=error))


def sign_switch(storage: Storage, keys: Keys, release: str, folder: Path, act: Act) -> bytes | None:
    """Return the pointer that makes a release current; None where nothing is signed.

    Parameters
    ----------
    storage
        Where the pointer before is.
    keys
        See :func:`recsys.release.switches.next_switch`; the private one is read where none was given.
    release, folder
        The name of the release, and a folder with its seal.
    act
        What happens.

    Raises
    ------
    ConfigError, MissingExtra
        If there is no pair of keys; see :meth:`recsys.release.keys.Keys.for_publishing`.
    """
    pair = keys.for_publishing()
    if pair.public is None:
        return None
    name, highest = f"{storage.address}: {POINTER}", Witness(storage.identity, pair.public).highest
    there, current = None, None
    with suppress(ReleaseError):  # of what cannot be read nothing is believed
        there = storage.pointer()
    with suppress(ReleaseError):
        current = storage.look()
    with writing("sign the switch"):
        standing = None if current is None or current.name == release else current
        if there is None and standing is not None:  # until the link moves, a reader finds this one
            there = next_switch(name, None, pair, _claim(standing.name, standing.folder, "kept"), highest)
        kept = None if standing is None else standing.name
        return next_switch(name, there, pair, _claim(release, folder, act)._replace(kept=kept), highest)


def require_signed(storage: Storage, keys: Keys, current: Current | None) -> None:
    """Look whether what is current was signed to be; nothing without keys.

    A run that went on from an older release that somebody put back would sign that it is the right one.

    Raises
    ------
    ArtifactCorrupt
        If it was not; see :meth:`Witness.accept`.
    """
    if keys.public is not None and current is not None:
        Witness(storage.identity, keys.public).accept(storage.pointer(), current.name, current.folder)


def sign_again(storage: Storage, keys: Keys, current: Current) -> None:
    """Sign anew that a release is current, so that readers see how long ago somebody looked; nothing without keys."""
    pointer = sign_switch(storage, keys, current.name, current.folder, "kept")
    if pointer is not None:
        storage.point(current.name, lambda: None, pointer)


def _claim(release: str, folder: Path, act: Act) -> Claim:
    return Claim(release, sha256_of(folder / MANIFEST), act)


def _told(switch: Switch) -> str:
    return f"switch {switch.number} to {switch.release} ({switch.signed_at})"
