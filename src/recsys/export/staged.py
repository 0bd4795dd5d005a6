"""What an export writes before it takes its place: beside the target, under a hidden name, by one process at a time."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from recsys.errors import ArtifactWriteError, LockHeld
from recsys.release.durable import TEMPORARY, remove, writing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def staged_for(target: Path) -> Path:
    """Return where what will take the place of a target is written; a leftover one may be deleted."""
    return target.with_name(f".{target.name}{TEMPORARY}")


@contextmanager
def held(staged: Path, *, folder: bool) -> Iterator[int]:
    """Make what is staged, or take what an export that was killed has left; nobody else writes it meanwhile.

    Yields its open descriptor.

    Raises
    ------
    LockHeld
        If another export is writing it.
    """
    with writing(f"write {staged}"):
        if folder:
            staged.mkdir(exist_ok=True)
        how = os.O_RDONLY | os.O_DIRECTORY if folder else os.O_RDWR | os.O_CREAT
        descriptor = os.open(staged, how | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        with writing(f"lock {staged}"):
            if not _is_ours(staged, descriptor):
                raise LockHeld(f"another export is writing {staged}: wait until it has finished, then run again")
        yield descriptor
    finally:
        os.close(descriptor)


def _is_ours(staged: Path, descriptor: int) -> bool:
    """Lock what is staged. Another export may have renamed it since it was opened: then it is that one's table."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.fstat(descriptor).st_ino == staged.lstat().st_ino
    except (BlockingIOError, FileNotFoundError):
        return False


@contextmanager
def clearing(staged: Path) -> Iterator[None]:
    """Remove what is staged if the block fails."""
    try:
        yield
    except BaseException:
        with suppress(ArtifactWriteError):
            remove(staged)
        raise
