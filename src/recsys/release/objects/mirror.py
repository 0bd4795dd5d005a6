"""The copy that this machine has of releases in an object store: every digest compared, then read as any other.

The copy is a folder of releases like those that people publish into, with a link ``v1``. What was copied is not
copied again: a release never changes.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from recsys.errors import ArtifactCorrupt, ArtifactWriteError, ReleaseError, ReleaseNotFound, StoreError
from recsys.release.durable import make_folder, point_link, remove, rename, write_bytes, write_file, writing
from recsys.release.layout import DIGEST, HMAC, MANIFEST, SIGNATURE
from recsys.release.lock import file_lock
from recsys.release.pointer import LINK
from recsys.release.seal import MANIFEST_LIMIT, REPAIR, read_seal
from recsys.release.shelf import RELEASES, is_release_name
from recsys.release.switches import POINTER
from recsys.system.log import events, keys
from recsys.system.paths import cache_folder
from recsys.system.pulse import progress

if TYPE_CHECKING:
    from pathlib import Path

    from recsys.release.manifest import Manifest
    from recsys.release.objects.bucket import Bucket

log = events(__name__)

SEALS = "seals"
"""Folder of the manifests, digests and signatures of releases: what a list needs, and no more."""
FETCHING = ".fetching-"
"""Prefix of a copy in the making."""
SEAL_FILES = (MANIFEST, DIGEST, SIGNATURE, HMAC)

_LOCK = ".fetch.lock"
_PATIENCE_S = 3600.0
"""Another process may be copying a large release: what it copied is there then."""
_AT_ONCE = 4
"""Files that are copied at once."""


class Mirror:
    """Copies releases of a store to this machine.

    Parameters
    ----------
    bucket
        The store.
    folder
        Where the copies lie; one below the cache of the user when not given.
    """

    def __init__(self, bucket: Bucket, folder: Path | None = None) -> None:
        self._bucket = bucket
        name = hashlib.sha256(f"{bucket.endpoint} {bucket.address}".encode()).hexdigest()[:16]
        self.folder = folder or cache_folder() / "stores" / name
        self.releases = self.folder / RELEASES
        self.link = self.folder / LINK

    def make(self) -> None:
        """Make the folder: what is in it concerns its user alone."""
        make_folder(self.folder.parent)
        with writing(f"create the folder {self.folder}"):
            self.folder.mkdir(mode=0o700, exist_ok=True)
        make_folder(self.releases)
        make_folder(self.folder / SEALS)

    def seal(self, name: str) -> Path | None:
        """Return a folder with the seal of a release; None where the store holds no such release.

        One whose digest is wrong is read anew each time: it may have been mended.
        """
        if not is_release_name(name):
            return None
        folder = self.folder / SEALS / name
        if _is_sealed(folder):
            return folder
        if MANIFEST not in self._bucket.names(f"{RELEASES}/{name}"):
            return None
        self.make()
        with file_lock(self.folder / _LOCK, f"a copy of {name}", patience_s=_PATIENCE_S):
            if not _is_sealed(folder):
                making = self._fresh(folder)
                self._copy_seal(name, making)
                remove(folder)
                rename(making, folder)
        return folder

    def get(self, name: str) -> Path:
        """Return the folder with a copy of a whole release.

        Raises
        ------
        ReleaseNotFound
            If the store holds no such release.
        ArtifactCorrupt
            If what it holds is not what was published.
        StoreError
            If it cannot be read.
        """
        if not is_release_name(name):
            raise ReleaseNotFound(f"there is no release {name!r} in {self._bucket.address}")
        folder = self.releases / name
        if folder.is_dir():
            return folder
        self.make()
        with file_lock(self.folder / _LOCK, f"a copy of {name}", patience_s=_PATIENCE_S):
            if not folder.is_dir():
                making = self._fresh(folder)
                try:
                    self._copy(name, making)
                    rename(making, folder)
                finally:
                    with suppress(ArtifactWriteError):
                        remove(making)
        return folder

    def get_again(self, name: str) -> None:
        """Replace a copy; it stays until the new one is whole."""
        with file_lock(self.folder / _LOCK, f"a copy of {name}", patience_s=_PATIENCE_S):
            making = self._fresh(self.releases / name)
            try:
                self._copy(name, making)
                remove(self.releases / name)
                rename(making, self.releases / name)
            finally:
                with suppress(ArtifactWriteError):
                    remove(making)

    def forget(self, name: str) -> None:
        """Remove what is here of a release that the store let go of."""
        if is_release_name(name):
            with file_lock(self.folder / _LOCK, f"the end of {name}", patience_s=_PATIENCE_S):
                remove(self.releases / name)
                remove(self.folder / SEALS / name)

    def point(self, name: str, pointer: bytes | None = None) -> None:
        """Make a copy the current one here, and remove older ones. A reader that has one open keeps it.

        Parameters
        ----------
        name
            Which.
        pointer
            The signed switches, which are kept beside the link; None where none are.
        """
        target = f"{RELEASES}/{name}"
        with file_lock(self.folder / _LOCK, f"the switch to {name}", patience_s=_PATIENCE_S):
            before = os.readlink(self.link) if self.link.is_symlink() else ""  # noqa: PTH115 - the raw text is meant
            if pointer is not None:
                write_bytes(self.folder / POINTER, pointer)
            if before != target:
                point_link(self.link, target)
            self._prune({name, before.rpartition("/")[2]})

    def current(self) -> str | None:
        """Return the release that was current when somebody looked last; None where nobody has."""
        return self.link.readlink().name if self.link.is_symlink() else None

    def check(self, name: str, manifest: Manifest) -> None:
        """Read every file of a release in the store, and compare its digest.

        Raises
        ------
        ArtifactCorrupt
            If one is not what was published.
        """
        self._refuse_names(name, manifest)
        place = f"{self._bucket.address}/{RELEASES}/{name}"
        for file in SEAL_FILES:
            here, there = self.releases / name / file, self._bucket.read(f"{RELEASES}/{name}/{file}")
            if (here.read_bytes() if here.exists() else None) != (None if there is None else there.data):
                raise ArtifactCorrupt(f"{place}: {file} is not what was copied from there; {REPAIR}")
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            digests = pool.map(lambda file: self.digest(f"{RELEASES}/{name}/{file}"), manifest.files)
            for file, digest in zip(manifest.files, digests, strict=True):
                _refuse_other(place, file, digest, manifest)

    def digest(self, path: str) -> str:
        """Return the SHA-256 of an object in hex, read in pieces."""
        digest = hashlib.sha256()
        for piece in self._bucket.stream(path):
            digest.update(piece)
        return digest.hexdigest()

    def _fresh(self, folder: Path) -> Path:
        making = folder.with_name(f"{FETCHING}{folder.name}")
        remove(making)
        make_folder(making)
        return making

    def _copy(self, name: str, making: Path) -> None:
        sealed = self._sealed(name, making)
        self._refuse_names(name, sealed)
        place, size = f"{self._bucket.address}/{RELEASES}/{name}", sum(facts.size for facts in sealed.files.values())

        def copy(file: str) -> None:
            path = f"{RELEASES}/{name}/{file}"
            try:
                digest = write_file(making / file, lambda out: out.writelines(self._bucket.stream(path)))
            except FileNotFoundError:
                raise ArtifactCorrupt(f"{place}: {file} is missing; {REPAIR}") from None
            _refuse_other(place, file, digest, sealed)

        with progress("copying the release", bar=False), ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(copy, sealed.files))
        log.info("copied a release", extra=keys(release=name, mb=round(size / 1e6, 1)))

    def _copy_seal(self, name: str, making: Path) -> None:
        """Copy the seal of a release; a part that the store lacks is missing here too."""
        place = f"{RELEASES}/{name}"
        for file in {*self._bucket.names(place)} & {*SEAL_FILES}:
            seen = self._bucket.read(f"{place}/{file}")
            if seen is None:
                raise StoreError(f"{self._bucket.address}/{place}/{file} went while it was read; run again")
            if len(seen.data) <= MANIFEST_LIMIT:
                write_bytes(making / file, seen.data)

    def _sealed(self, name: str, making: Path) -> Manifest:
        """Copy the seal of a release, and return its manifest, its digest checked."""
        self._copy_seal(name, making)
        place = f"{self._bucket.address}/{RELEASES}/{name}"
        if not (making / MANIFEST).exists():
            raise ReleaseNotFound(f"there is no release {name!r} in {self._bucket.address}")
        try:
            return read_seal(making)
        except ArtifactCorrupt as error:
            raise ArtifactCorrupt(str(error).replace(str(making), place)) from error

    def _refuse_names(self, name: str, manifest: Manifest) -> None:
        held = set(self._bucket.names(f"{RELEASES}/{name}"))
        expected = {*manifest.files}
        place = f"{self._bucket.address}/{RELEASES}/{name}"
        if extra := held - expected - {*SEAL_FILES}:
            raise ArtifactCorrupt(f"{place}: {', '.join(sorted(extra)[:5])} was not published with it; remove it")
        if missing := expected - held:
            raise ArtifactCorrupt(f"{place}: {', '.join(sorted(missing)[:5])} is missing; {REPAIR}")

    def _prune(self, kept: set[str]) -> None:
        for path in self.releases.iterdir():
            if path.name not in kept and (is_release_name(path.name) or path.name.startswith(FETCHING)):
                with suppress(ArtifactWriteError):  # the next switch tries again
                    remove(path)


def _refuse_other(place: str, file: str, digest: str, manifest: Manifest) -> None:
    if digest != manifest.files[file].sha256:
        raise ArtifactCorrupt(f"{place}: {file} is not what was published; {REPAIR}")


def _is_sealed(folder: Path) -> bool:
    try:
        read_seal(folder)
    except ReleaseError:
        return False
    return True
