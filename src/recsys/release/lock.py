"""Locks: one process at a time, and a second one learns who holds it."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from recsys.errors import LockHeld
from recsys.release.durable import writing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK = ".lock"

_PAUSE_S = 0.05
"""Between two attempts to take a lock."""


def publisher_lock(root: Path, holder: str) -> AbstractContextManager[None]:
    """Hold the lock of the release store in the folder ``root``; see :func:`file_lock`."""
    return file_lock(root / LOCK, f"run {holder}")


@contextmanager
def file_lock(path: Path, holder: str, *, patience_s: float = 0.0) -> Iterator[None]:
    """Hold a lock.

    The kernel keeps the lock for the open file, so that it is gone with the process, however that
    ends. The file stays: to delete it would let two processes lock two files of the same name.

    Parameters
    ----------
    path
        The file to lock; made if it does not exist.
    holder
        What to tell others.
    patience_s
        Seconds to wait for it.

    Raises
    ------
    LockHeld
        If another process holds it.
    ArtifactWriteError
        If the lock file cannot be written.
    """
    with writing(f"open the lock {path}"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        with writing(f"take the lock {path}"):
            deadline = time.monotonic() + patience_s
            while not _taken(descriptor):
                if time.monotonic() >= deadline:
                    raise _held(path, descriptor)
                time.sleep(_PAUSE_S)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, _card(holder), 0)
        yield
    finally:
        os.close(descriptor)


def refuse_held(path: Path) -> None:
    """Go on where nobody holds a lock. Nothing is made, and the lock is kept for no longer than a look takes.

    Raises
    ------
    LockHeld
        If another process holds it.
    ArtifactWriteError
        If the lock file cannot be read.
    """
    with writing(f"open the lock {path}"):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except (FileNotFoundError, NotADirectoryError):
            return
    try:
        with writing(f"look at the lock {path}"):
            if not _taken(descriptor, fcntl.LOCK_SH):
                raise _held(path, descriptor)
    finally:
        os.close(descriptor)


def _held(path: Path, descriptor: int) -> LockHeld:
    return LockHeld(f"{path} is held by {_holder(descriptor)}: wait until it has finished, then run again")


def _taken(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _card(holder: str) -> bytes:
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return json.dumps({"holder": holder, "process": os.getpid(), "host": socket.gethostname(), "since": since}).encode()


def _holder(descriptor: int) -> str:
    try:
        card = json.loads(os.pread(descriptor, 4096, 0))
        return f"{card['holder']} (process {card['process']} on {card['host']}, since {card['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
