"""Releases in a folder: locks of the kernel, renames, and a link that is swapped."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from recsys.errors import ArtifactCorrupt, ArtifactWriteError, ReleaseError
from recsys.release.durable import flush_folder, make_folder, prove_writable, remove, rename, write_bytes, writing
from recsys.release.lock import LOCK, file_lock, publisher_lock, refuse_held
from recsys.release.pointer import Current, Form, Pointer
from recsys.release.pruning import clean
from recsys.release.refused import keep_refused
from recsys.release.seal import open_plain
from recsys.release.shelf import RELEASES, is_release_name
from recsys.release.switch import TRASH, mend, point, points_to
from recsys.release.switches import POINTER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from recsys.release.manifest import Manifest

HOLD = "hold.json"
"""Name of the hold's file."""
HOLD_LOCK = ".hold.lock"
"""Name of the lock beside it."""
JOURNAL = "log.jsonl"
"""Name of the log's file."""
JOURNAL_LOCK = ".log.lock"
"""Name of the lock beside it."""

_PATIENCE_S = 10.0
"""Others have a lock of these for as long as a file or a link takes to be written."""


class FolderNote:
    """A small file in a folder, and the lock beside it; see :class:`recsys.release.storage.Note`."""

    def __init__(self, path: Path, lock: Path) -> None:
        self.path = path
        self.address = str(path)
        self._lock = lock

    def read(self) -> bytes | None:
        """Return its content; None where it is not there."""
        try:
            with open_plain(self.path) as file:
                return file.readall()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ArtifactCorrupt as error:
            raise ArtifactCorrupt("it is no plain file") from error
        except OSError as error:
            kind = "it is a link and no plain file" if self.path.is_symlink() else error.strerror or str(error)
            raise ArtifactCorrupt(kind) from error

    def write(self, data: bytes) -> None:
        """Replace its content."""
        if self.path.exists() and not self.path.is_file():
            raise ArtifactWriteError(f"cannot write {self.path}: it is no file, and holds as it is; move it away")
        write_bytes(self.path, data)

    def replace(self, before: bytes | None, after: bytes | None) -> bool:
        """Replace its content; for who holds the guard. What cannot be read is as nothing."""
        now = None
        with suppress(ArtifactCorrupt):
            now = self.read()
        if now != before:
            return False
        if after is None:
            self._remove()
        else:
            self.write(after)
        return True

    def _remove(self) -> None:
        if self.path.is_dir() and not self.path.is_symlink():
            raise ArtifactWriteError(f"cannot remove {self.path}: it is a folder, and nobody's hold; move it away")
        remove(self.path)
        with writing(f"flush {self.path.parent} ({self.path.name} is gone, but may be back after a power cut)"):
            flush_folder(self.path.parent)
        if os.path.lexists(self.path):
            raise ArtifactWriteError(f"cannot remove {self.path}: the file system said it was done, and it is not")

    def guard(self, holder: str) -> AbstractContextManager[None]:
        """Hold the lock beside it."""
        return file_lock(self._lock, holder, patience_s=_PATIENCE_S)

    def update(self, holder: str, change: Callable[[bytes], bytes]) -> None:
        """Replace its content by what ``change`` makes of it."""
        with self.guard(holder), writing(f"add to {self.path}"):
            try:
                before = self.path.read_bytes()
            except FileNotFoundError:
                before = b""
            # Whole, under another name first: a process that ends here leaves no half line.
            write_bytes(self.path, change(before))


class FolderStorage:
    """Releases in a folder of this machine, or of one that it has mounted; see :class:`recsys.release.storage.Storage`.

    Parameters
    ----------
    root
        The folder; made by the first publisher.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root
        self.address = str(root)
        self.identity = str(root.resolve())
        self.releases = root / RELEASES
        self.hold = FolderNote(root / HOLD, root / HOLD_LOCK)
        self.log = FolderNote(root / JOURNAL, root / JOURNAL_LOCK)
        self._pointer = Pointer(root)

    def exists(self) -> bool:
        """Say whether there is, or was, a release."""
        return self.releases.is_dir() or os.path.lexists(self._pointer.link)

    def current(self) -> Current | None:
        """Return the current release."""
        return self._pointer.read()

    def look(self) -> Current | None:
        """Look once, and tell nobody."""
        return self._pointer.look()

    def list(self, current: Current | None) -> dict[Path, str]:
        """Return the names of all releases by folder."""
        folders = {path: path.name for path in self._pointer.shelf.folders()}
        if current is not None and current.form is not Form.copy:
            folders[current.folder] = current.name
        return folders

    def find(self, name: str) -> Current | None:
        """Return the release of a name."""
        path = self.releases / name
        return Current(name, path) if is_release_name(name) and path.is_dir() else None

    def get(self, release: Current) -> Path:
        """Return the folder of a release."""
        return release.folder

    def prove_kept(self, release: Current, manifest: Manifest) -> None:
        """Do nothing: what was verified on this machine is what the storage holds."""

    def make(self) -> None:
        """Make the folder of the releases."""
        make_folder(self.releases)

    def lease(self, holder: str) -> AbstractContextManager[None]:
        """Hold the publisher's lock."""
        return publisher_lock(self.folder, holder)

    def settle(self) -> Current | None:
        """Return the current release once the link names it, and remove what interrupted runs left."""
        current = mend(self._pointer)  # first: a link that a killed run has left waiting may be all that tells
        clean(self._pointer)
        return current

    @contextmanager
    def put(self, sealed: Path, name: str) -> Iterator[None]:
        """Rename a sealed folder; it is back where the block fails and the link did not move."""
        folder = self.releases / name
        rename(sealed, folder)
        try:
            yield
        except BaseException:
            if not self.points_to(name):
                with suppress(ArtifactWriteError):
                    rename(folder, sealed)
            raise

    def pointer(self) -> bytes | None:
        """Return the signed switches."""
        return FolderNote(self.folder / POINTER, self.folder / HOLD_LOCK).read()

    def point(self, name: str, admit: Callable[[], None], pointer: bytes | None) -> None:
        """Swap the link. Nobody is asked: who is here has the hold's guard, and has looked."""
        del admit
        if pointer is not None:  # first: until the link moves, the switch before is there too
            write_bytes(self.folder / POINTER, pointer)
        standing = None
        with suppress(ReleaseError):  # what names no release is moved aside
            standing = self._pointer.look()
        if standing is None or (standing.name, standing.form) != (name, Form.outside):  # current where it is
            point(self._pointer, name)

    def points_to(self, name: str) -> bool:
        """Say whether the link itself says that a release is current."""
        return points_to(self._pointer, name)

    def delete(self, release: Path) -> None:
        """Remove a release."""
        trash = release.with_name(f"{TRASH}{release.name}")
        # Renamed first: a release that is half removed must not be listed as one.
        rename(release, trash)
        remove(trash)

    def where(self, release: Current) -> str:
        """Return the folder of a release."""
        return str(release.folder)

    def keep_refused(self, run_id: str, files: Mapping[str, bytes], keep: int) -> str | None:
        """Write what is known about a refused candidate."""
        folder = keep_refused(self.folder, run_id, files, keep)
        return None if folder is None else str(folder)

    def prove(self) -> int:
        """Write a few bytes where releases are made; see :func:`recsys.release.durable.prove_writable`."""
        return min(prove_writable(folder) for folder in (self.folder, self.releases))

    def refuse_publisher(self) -> None:
        """Look at the publisher's lock; see :func:`recsys.release.lock.refuse_held`."""
        refuse_held(self.folder / LOCK)
