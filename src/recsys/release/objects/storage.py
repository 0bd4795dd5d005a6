"""Releases in an object store, as the release store sees them; see :mod:`recsys.release.objects`."""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from recsys.errors import (
    ArtifactCorrupt,
    ArtifactWriteError,
    RecsysError,
    ReleaseError,
    ReleaseNotFound,
    StoreError,
    StoreRefused,
)
from recsys.release.durable import prove_writable, remove, rename, sha256_of
from recsys.release.layout import DIGEST, MANIFEST, SIGNATURE
from recsys.release.objects.bucket import Bucket
from recsys.release.objects.lease import SECONDS, Lease, prove
from recsys.release.objects.mirror import Mirror
from recsys.release.objects.notes import HoldNote, LogNote
from recsys.release.objects.state import STATE, Found, State, StateFile
from recsys.release.pointer import Current
from recsys.release.refused import REFUSED
from recsys.release.shelf import RELEASES, is_release_name
from recsys.release.staging import STAGING
from recsys.system.log import events, keys
from recsys.system.pulse import progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from recsys.release.manifest import Manifest
    from recsys.release.records import Json

log = events(__name__)

LOG = "log.jsonl"


class ObjectStorage:
    """Releases in a prefix of a bucket; see :class:`recsys.release.storage.Storage`.

    Parameters
    ----------
    bucket
        The prefix.
    folder
        Where this machine keeps its copies; below the cache of the user when not given.
    lease_s
        How long a lease lasts unless it is renewed.
    """

    def __init__(self, bucket: Bucket, folder: Path | None = None, lease_s: float = SECONDS) -> None:
        self._bucket = bucket
        self._state = StateFile(bucket)
        self._lease = Lease(bucket, self._state, lambda: not self._names(), lease_s)
        self.mirror = Mirror(bucket, folder)
        self.address = bucket.address
        self.identity = f"{bucket.endpoint} {bucket.address}"
        self.folder = self.mirror.folder
        self.releases = self.mirror.releases
        self.hold = HoldNote(self._state)
        self.log = LogNote(bucket, LOG)

    @classmethod
    def at(cls, address: str) -> ObjectStorage:
        """Return the storage at an address.

        Raises
        ------
        ConfigError, MissingExtra
            As :class:`recsys.release.objects.bucket.Bucket`.
        """
        return cls(Bucket(address))

    def exists(self) -> bool:
        """Say whether there is, or was, a release."""
        return self._state.read() is not None or bool(self._bucket.folders(RELEASES))

    def current(self) -> Current | None:
        """Return the current release."""
        return self._named(self._state.read())

    def standing(self) -> tuple[Current | None, bytes | None]:
        """Return the current release and the signed switches, as they were at one moment."""
        found = self._state.read()
        return self._named(found), _pointer_of(found)

    def _named(self, found: Found | None) -> Current | None:
        if found is None or found.state.release is None:
            if (found is None or not found.state.began_empty) and (names := self._names()):
                raise ReleaseNotFound(
                    f"{self.address} has releases, and no {STATE} that says which one is current: make one current with"
                    f" `recsys rollback NAME` (there are {', '.join(names[-5:])})"
                )
            return None
        name = found.state.release
        folder = self.mirror.seal(name)
        if folder is None:
            raise ReleaseNotFound(
                f"{self.address}/{STATE} names {name}, which is not there: restore it, or make another one current with"
                f" `recsys rollback NAME` (there are {', '.join(self._names()[-5:])})"
            )
        return Current(name, folder)

    look = current

    def _names(self) -> list[str]:
        """Return the names of the releases, those that an ended run left unfinished aside."""
        return [name for name in self._bucket.folders(RELEASES) if self.mirror.seal(name) is not None]

    def list(self, current: Current | None) -> dict[Path, str]:
        """Return the names of all releases by the folders of their seals."""
        del current
        found = {name: self.mirror.seal(name) for name in self._bucket.folders(RELEASES)}
        return {folder: name for name, folder in found.items() if folder is not None}

    def find(self, name: str) -> Current | None:
        """Return the release of a name."""
        if not is_release_name(name) or MANIFEST not in self._bucket.names(f"{RELEASES}/{name}"):
            return None
        folder = self.mirror.seal(name)
        return None if folder is None else Current(name, folder)

    def get(self, release: Current) -> Path:
        """Return the folder with a copy of the release."""
        return self.mirror.get(release.name)

    def prove_kept(self, release: Current, manifest: Manifest) -> None:
        """Read every object of a release, and compare its digest."""
        self.mirror.check(release.name, manifest)

    def make(self) -> None:
        """Make the folder of the copies, which releases are made in."""
        self.mirror.make()

    def lease(self, holder: str) -> AbstractContextManager[None]:
        """Hold the lease."""
        return self._lease.held(holder)

    def settle(self) -> Current | None:
        """Return the current release, and remove what interrupted runs left."""
        current = self.current()
        if current is not None and self.find(current.name) is None:  # what this machine remembers of it is no release
            raise ArtifactCorrupt(
                f"{self.address}/{RELEASES}/{current.name} is current, and has no {MANIFEST}: restore it, or go back"
                " with `recsys rollback NAME`"
            )
        for name in self._bucket.folders(RELEASES):
            if is_release_name(name) and MANIFEST not in self._bucket.names(f"{RELEASES}/{name}"):
                self._remove_calmly(name)
        for path in self.releases.iterdir() if self.releases.is_dir() else ():
            if path.name.startswith(STAGING):
                remove(path)
        return current

    def _remove_calmly(self, name: str) -> None:
        try:
            self._remove(f"{RELEASES}/{name}")
        except StoreError as error:
            log.warning("what an interrupted run left could not be removed", extra=keys(release=name, reason=error))
        else:
            log.info("removed what an interrupted run left", extra=keys(path=f"{self.address}/{RELEASES}/{name}"))

    @contextmanager
    def put(self, sealed: Path, name: str) -> Iterator[None]:
        """Write every file of a sealed folder, read it back, and its manifest last."""
        try:
            self._upload(sealed, name)
            yield
        except BaseException:
            if not self.points_to(name):
                with suppress(RecsysError):  # without its manifest, the next run removes it
                    self._remove(f"{RELEASES}/{name}")
            raise
        with suppress(ArtifactWriteError):  # it is published; the next reader here copies it
            rename(sealed, self.releases / name)

    def _upload(self, sealed: Path, name: str) -> None:
        last = [file for file in (DIGEST, SIGNATURE, MANIFEST) if (sealed / file).exists()]
        files = sorted(path.name for path in sealed.iterdir() if path.name not in last)
        with progress("writing the release into the store", bar=False):
            for file in [*files, *last]:
                if file == MANIFEST:
                    self._lease.require(self._state.read() or Found(State(), "", None))
                path = f"{RELEASES}/{name}/{file}"
                self._bucket.put_file(path, sealed / file)
                self._compare(path, sha256_of(sealed / file))

    def _compare(self, path: str, meant: str) -> None:
        try:
            stored = self.mirror.digest(path)
        except FileNotFoundError:
            stored = "none"
        if stored != meant:
            raise ArtifactWriteError(
                f"cannot write {self.address}/{path}: the store said it was done and holds other bytes (SHA-256"
                f" {stored[:12]}… instead of {meant[:12]}…); look at the store before the next run"
            )

    def pointer(self) -> bytes | None:
        """Return the signed switches."""
        return _pointer_of(self._state.read())

    def point(self, name: str, admit: Callable[[], None], pointer: bytes | None) -> None:
        """Change the state: the lease is still this run's, there is no hold, and nobody came in between."""

        def signed_by(found: Found) -> Json:
            return found.state.pointer if pointer is None else json.loads(pointer)

        def pointed(found: Found) -> State:
            if found.state.release == name and found.state.pointer == signed_by(found):  # only an answer was lost
                return found.state
            self._lease.require(found)
            admit()
            return found.state.model_copy(update={"release": name, "pointer": signed_by(found)})

        self._state.change(pointed)

    def points_to(self, name: str) -> bool:
        """Say whether the state names a release; where nobody can say, it may, and nothing of it is removed."""
        try:
            found = self._state.read()
        except (StoreError, ReleaseError) as error:
            log.warning("it is not known whether the switch was made", extra=keys(release=name, reason=error))
            return True
        return found is not None and found.state.release == name

    def delete(self, release: Path) -> None:
        """Remove a release: its manifest first, so that what is left is none. Not one that another run made current."""
        found = self._state.read() or Found(State(), "", None)
        self._lease.require(found, f"{release.name} stays")
        if found.state.release == release.name:
            raise ArtifactWriteError(f"{self.address}/{RELEASES}/{release.name} is current now, and stays")
        self._remove(f"{RELEASES}/{release.name}")
        with suppress(ArtifactWriteError):
            self.mirror.forget(release.name)

    def _remove(self, path: str) -> None:
        names = self._bucket.names(path)
        for name in sorted(names, key=lambda name: name != MANIFEST):
            self._bucket.delete(f"{path}/{name}")

    def where(self, release: Current) -> str:
        """Return the prefix of a release."""
        return f"{self.address}/{RELEASES}/{release.name}"

    def keep_refused(self, run_id: str, files: Mapping[str, bytes], keep: int) -> str | None:
        """Write what is known about a refused candidate, and remove the oldest beyond ``keep``."""
        folder = f"{REFUSED}/{run_id}"
        if keep:
            for name, data in files.items():
                if not self._bucket.create(f"{folder}/{name}", data):
                    raise ArtifactWriteError(
                        f"{self.address}/{folder} exists already, and what a run left is never written over; run again"
                    )
        kept = self._bucket.folders(REFUSED)
        try:
            for name in kept[: max(0, len(kept) - keep)]:
                self._remove(f"{REFUSED}/{name}")
                log.info("removed an old refused candidate", extra=keys(path=f"{self.address}/{REFUSED}/{name}"))
        except StoreRefused as error:
            log.warning("an old refused candidate could not be removed", extra=keys(reason=error))
        return f"{self.address}/{folder}" if keep else None

    def prove(self) -> int:
        """Write the probe, and a few bytes where releases are made."""
        prove(self._bucket)
        return prove_writable(self.folder)

    def refuse_publisher(self) -> None:
        """Look at the lease."""
        self._lease.refuse()


def _pointer_of(found: Found | None) -> bytes | None:
    return None if found is None or found.state.pointer is None else json.dumps(found.state.pointer).encode()
