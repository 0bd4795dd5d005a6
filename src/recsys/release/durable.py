"""Writing that lasts: every byte flushed, read back and compared; every rename flushed too. Files are streams.

The one place where an ``OSError`` of writing becomes an
:class:`~recsys.errors.ArtifactWriteError`. Nothing here knows what a release is.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from recsys.errors import ArtifactWriteError, RecsysError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Buffer: TypeAlias = bytes | bytearray | memoryview
"""The content of a file, in memory or mapped."""

TEMPORARY = ".partial"
"""Suffix of a file that is being written; a leftover one is never read and may be deleted."""

_CHUNK = 1 << 20

_ADVICE = {
    errno.ENOSPC: "free some space on that file system",
    errno.EDQUOT: "free some space within the quota",
    errno.EACCES: "give this user the right to write there",
    errno.EPERM: "give this user the right to write there",
    errno.EROFS: "mount that file system for writing, or choose another --output",
    errno.ENXIO: "nobody reads from there: start the reader first",
    errno.EXDEV: "both have to lie on one file system",
    errno.EBUSY: "something is mounted there: mount the folder above it",
    errno.EIO: "the device reports a fault: check the disk before the next run",
}


@contextmanager
def writing(what: str) -> Iterator[None]:
    """Translate an ``OSError`` of the block into an :class:`ArtifactWriteError`.

    Parameters
    ----------
    what
        The attempt, as it follows "cannot": ``"write models/v1/metadata.json"``.
    """
    try:
        yield
    except RecsysError:  # some are an OSError too
        raise
    except OSError as error:
        raise _failure(what, error) from error


def _failure(what: str, error: OSError) -> ArtifactWriteError:
    reason = error.strerror or str(error)
    advice = _ADVICE.get(error.errno or 0, "mend the cause and run again")
    failure = ArtifactWriteError(f"cannot {what}: {reason}; {advice}")
    failure.errno = error.errno
    return failure


def write_bytes(path: Path, data: Buffer) -> str:
    """Write a file that is in memory; see :func:`write_file`."""
    return write_file(path, lambda file: file.write(data))


def write_file(path: Path, fill: Callable[[BinaryIO], object]) -> str:
    """Write a file so that it is there whole, on the disk, or not at all.

    The bytes go to a temporary name, are hashed as they are written, flushed, read back and compared with what was
    meant, and the file takes its name in one atomic step. A disk that reports success and stores something else is seen
    here.

    Parameters
    ----------
    path
        The file; one that exists is replaced, and so is a link. Its folder must exist. A folder, device or pipe is
        refused.
    fill
        Writes the content, from its beginning to its end, into what it is given.

    Returns
    -------
    str
        SHA-256 of the content, in hex.

    Raises
    ------
    ArtifactWriteError
        If anything failed. The file at ``path`` is as it was before; if only the flush of the
        folder failed, it is the new one.
    """
    temporary = path.with_name(path.name + TEMPORARY)
    with writing(f"write {path}"):
        if path.exists() and not path.is_file():
            raise ArtifactWriteError(f"cannot write {path}: it is no plain file, and would be gone; name another")
        try:
            meant = _write_flushed(temporary, fill)
            _compare(temporary, meant)
            _replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        flush_folder(path.parent)
    return meant


class _Hashed(io.RawIOBase):
    """Writes whole pieces to a descriptor, and hashes them."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._digest = descriptor, hashlib.sha256()

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        whole = rest = memoryview(data).cast("B")
        self._digest.update(whole)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        return len(whole)


def _write_flushed(path: Path, fill: Callable[[BinaryIO], object]) -> str:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        hashed = _Hashed(descriptor)
        with io.BufferedWriter(hashed, _CHUNK) as file:
            fill(file)
            file.flush()
            os.fsync(descriptor)
            # Drop the cached pages, so that reading back asks the disk and not our own memory.
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        return hashed.digest
    finally:
        os.close(descriptor)


def _compare(path: Path, meant: str) -> None:
    stored = sha256_of(path)
    if stored != meant:
        raise ArtifactWriteError(
            f"cannot write {path}: the disk stored other bytes than were written (SHA-256 {stored[:12]}… "
            f"instead of {meant[:12]}…); check the file system before the next run"
        )


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_CHUNK):
            digest.update(piece)
    return digest.hexdigest()


def flush_folder(folder: Path) -> None:
    """Flush the names in a folder: without it a rename may not survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Create a folder (and its parents) that others may read; one that exists is fine."""
    with writing(f"create the folder {folder}"):
        folder.mkdir(parents=True, exist_ok=True)


def prove_writable(folder: Path) -> int:
    """Write a few bytes where a folder is or would be made, and leave nothing of them.

    Returns
    -------
    int
        Bytes that are free there.

    Raises
    ------
    ArtifactWriteError
        If they cannot be written.
    """
    there = folder.absolute()
    while not os.path.lexists(there):
        there = there.parent
    with writing(f"write into {there}"):
        with tempfile.TemporaryFile(dir=there, prefix=".probe-", suffix=TEMPORARY) as file:  # without a name, on Linux
            file.write(b"recsys")
            file.flush()
            os.fsync(file.fileno())
        return shutil.disk_usage(there).free


def remove(path: Path) -> None:
    """Remove a file, link or folder with all it holds; one that is gone already is fine."""
    with writing(f"remove {path}"):
        if path.is_symlink() or not path.is_dir():
            path.unlink(missing_ok=True)
        else:
            shutil.rmtree(path)


def rename(source: Path, target: Path) -> None:
    """Rename within one file system, flush both folders, and look whether it happened.

    Raises
    ------
    ArtifactWriteError
        If it failed, or if the file system said it was done and it was not.
    """
    with writing(f"rename {source} to {target}"):
        _replace(source, target)
        flush_folder(target.parent)
        if source.parent != target.parent:
            flush_folder(source.parent)


def _replace(source: Path, target: Path) -> None:
    source.replace(target)
    if not os.path.lexists(target) or os.path.lexists(source):
        raise ArtifactWriteError(
            f"cannot rename {source} to {target}: the file system said it was done, and it is not; check it"
        )


def point_link(link: Path, target: str) -> None:
    """Make ``link`` a symbolic link to ``target`` in one atomic step.

    Raises
    ------
    ArtifactWriteError
        If it failed: the message says whether the link already points to the new target.
    """
    with writing(f"point {link} to {target}"):
        _replace(_new_link(link, target), link)
    seen = _target_of(link)
    if seen != target:
        raise ArtifactWriteError(
            f"cannot point {link} to {target}: the file system said it was done, and it points to {seen}; check it"
        )
    with writing(f"flush {link.parent} ({link.name} already points to {target}, but may not survive a power cut)"):
        flush_folder(link.parent)


def put_link(link: Path, target: str, aside: Path) -> None:
    """Move what stands at ``link`` to ``aside``, and make ``link`` a symbolic link to ``target``.

    No file system puts a link in a folder's place in one step. The new link is on the disk before
    the folder moves, so that a reader who finds nothing at ``link`` reads it at :func:`waiting`.

    Raises
    ------
    ArtifactWriteError
        If it failed; what stood there is back, unless the link was made.
    """
    with writing(f"point {link} to {target}"):
        _new_link(link, target)
        flush_folder(link.parent)
    try:
        rename(link, aside)
        point_link(link, target)
    except ArtifactWriteError:
        if not os.path.lexists(link):
            rename(aside, link)
        if not link.is_symlink():
            remove(waiting(link))
        raise


def waiting(link: Path) -> Path:
    """Return where a link waits until it takes its place."""
    return link.with_name(f".{link.name}{TEMPORARY}")


def _new_link(link: Path, target: str) -> Path:
    fresh = waiting(link)
    if _target_of(fresh) != target:
        remove(fresh)
        fresh.symlink_to(target)
    return fresh


def _target_of(link: Path) -> str | None:
    try:
        return str(link.readlink())
    except OSError:
        return None
