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
                    raise LockHeld(
                        f"{path} is held by {_holder(descriptor)}: wait until it has finished, then run again"
                    )
                time.sleep(_PAUSE_S)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, _card(holder), 0)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
