"""Vectors of texts that were encoded before, in one SQLite file.

SQLite comes with Python, keeps its promises when a process is killed or two write at once, and is
one file that CI can save and restore. LMDB reads faster, but reading 28,000 vectors takes a
fraction of a second either way; its file never shrinks, and it brings a dependency. DuckDB and Arrow files
allow one writer only.

A cache decides how long a run takes, never what it computes: a file that is damaged, read-only or
on a full disk is logged, and the texts are encoded again.
"""

from __future__ import annotations

import sqlite3
import time
import zlib
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recsys.errors import ArtifactWriteError
from recsys.system.log import events
from recsys.system.log import keys as log_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

log = events(__name__)

_FILE = "vectors-1.sqlite"
"""The number is the table's layout: another layout is another file."""
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS vectors (
        key BLOB NOT NULL UNIQUE, vector BLOB NOT NULL, crc INTEGER NOT NULL, used INTEGER NOT NULL
    )"""
_PATIENCE_S = 60.0
"""How long to wait for another writer; each holds the file for milliseconds, ``clear`` for seconds."""
_FRESH_S = 3600
"""A vector used within the last hour is not marked as used again: a warm run then writes nothing."""
_KEPT = 0.9
"""Share of the bound that is kept when it is passed, so that not every write removes a few rows."""
_MANY = 500
"""Keys in one statement."""


@dataclass(frozen=True)
class CacheInfo:
    """What ``recsys cache info`` shows.

    Attributes
    ----------
    path
        The file; it need not exist.
    vectors
        How many it holds.
    size, limit
        Bytes in use, and the bound.
    oldest
        Unix time at which the least recently used vector was last used; None if there is none.
    damaged
        Bytes of a broken file that a run set aside, beyond the bound; 0 if there is none.
    """

    path: Path
    vectors: int
    size: int
    limit: int
    oldest: int | None
    damaged: int = 0


class VectorCache:
    """Vectors by key, the least recently used going first when the bound is reached.

    Parameters
    ----------
    folder
        Made when the first vector is stored.
    limit
        Bytes that the file may hold.
    clock
        Tells the time of use.
    patience
        Seconds to wait for another process.
    """

    def __init__(
        self, folder: Path, limit: int, clock: Callable[[], float] = time.time, patience: float = _PATIENCE_S
    ) -> None:
        self.path = folder / _FILE
        self._damaged = self.path.with_suffix(".damaged")
        self._limit = limit
        self._clock = clock
        self._patience = patience

    def look_up(self, keys: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """Return the vectors of those keys that are known, and mark them as used."""
        if not self.path.is_file():
            return {}
        vectors: dict[bytes, NDArray[np.float32]] = {}
        with self._tolerant("reading"), self._connection() as database:
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'vectors'").fetchone():
                return {}  # the first writer has made the file, and not yet the table
            damaged, stale, now = [], [], int(self._clock())
            for some in _portions(keys):
                marks = ",".join("?" * len(some))
                rows = database.execute(f"SELECT key, vector, crc, used FROM vectors WHERE key IN ({marks})", some)
                for key, data, crc, used in rows:
                    if zlib.crc32(data) != crc:
                        damaged.append(key)
                        continue
                    vectors[key] = np.frombuffer(data, dtype="<f4")
                    if used < now - _FRESH_S:
                        stale.append(key)
            if damaged:
                log.warning("cached vectors are damaged and are encoded again", extra=log_keys(vectors=len(damaged)))
            if damaged or stale:
                with _transaction(database):
                    database.executemany("DELETE FROM vectors WHERE key = ?", [(key,) for key in damaged])
                    database.executemany("UPDATE vectors SET used = ? WHERE key = ?", [(now, key) for key in stale])
        return vectors

    def store(self, keys: Sequence[bytes], vectors: NDArray[np.float32]) -> None:
        """Keep vectors, all of them or, if the process dies, none.

        Parameters
        ----------
        keys
            One for each row.
        vectors
            float32, (len(keys), dimension).
        """
        now = int(self._clock())
        data = [row.tobytes() for row in vectors.astype("<f4", copy=False)]
        rows = [(key, row, zlib.crc32(row), now) for key, row in zip(keys, data, strict=True)]
        with self._tolerant("writing"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._connection() as database, _transaction(database):
                database.execute(_SCHEMA)
                database.executemany("INSERT INTO vectors VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", rows)
                self._evict(database)

    def info(self) -> CacheInfo:
        """Count what the cache holds.

        Raises
        ------
        ArtifactWriteError
            If the file is there and cannot be read.
        """
        with self._strict("read", "empty it with `recsys cache clear`"):
            if not self.path.is_file():
                return self._counted(0, 0, None)
            with self._connection() as database:
                return self._count(database)

    def clear(self) -> CacheInfo:
        """Remove every vector, and return what there was.

        A run that is writing meanwhile goes on: vectors are deleted from the file. Only a file that
        cannot be mended so is removed, and so is one that was set aside.

        Raises
        ------
        ArtifactWriteError
            If another process holds the file all the time, or it cannot be removed.
        """
        with self._strict("emptied", "wait for the run that is using it"):
            before = self._empty() if self.path.is_file() else None
            if before is None:
                before = self._counted(0, _bytes(self.path), None)
                for path in (self.path, *(self.path.with_name(_FILE + end) for end in ("-journal", "-wal", "-shm"))):
                    path.unlink(missing_ok=True)
            self._damaged.unlink(missing_ok=True)
        return before

    def _empty(self) -> CacheInfo | None:
        """Delete every vector; None if the file is broken or cannot be written."""
        try:
            with self._connection() as database:
                with _transaction(database):
                    before = self._count(database)
                    database.execute("DELETE FROM vectors")
                sound: bool = database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        except sqlite3.Error as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:  # the low byte is the kind
                raise
            return None
        return before if sound else None

    def _count(self, database: sqlite3.Connection) -> CacheInfo:
        database.execute(_SCHEMA)
        count, oldest = database.execute("SELECT count(*), min(used) FROM vectors").fetchone()
        return self._counted(count, _size(database), oldest)

    def _counted(self, vectors: int, size: int, oldest: int | None) -> CacheInfo:
        return CacheInfo(self.path, vectors, size, self._limit, oldest, _bytes(self._damaged))

    def _evict(self, database: sqlite3.Connection) -> None:
        size = _size(database)
        if size <= self._limit:
            return
        (count,) = database.execute("SELECT count(*) FROM vectors").fetchone()
        surplus = count - int(count * _KEPT * self._limit / size)
        oldest = "SELECT rowid FROM vectors ORDER BY used, rowid LIMIT ?"
        database.execute(f"DELETE FROM vectors WHERE rowid IN ({oldest})", (surplus,))
        log.info("cache is full: least recently used vectors removed", extra=log_keys(vectors=surplus))

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=self._patience, isolation_level=None)) as database:
            # Both only count before the first table is made: ten vectors a page, and a file that can shrink.
            database.execute("PRAGMA page_size = 16384")
            database.execute("PRAGMA auto_vacuum = FULL")
            yield database

    @contextmanager
    def _tolerant(self, doing: str) -> Iterator[None]:
        """Turn a failure of the file into a warning; a file that is no database is set aside."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            log.warning(
                "the embedding cache failed; texts that it lacks are encoded again",
                extra=log_keys(doing=doing, path=self.path, reason=f"{type(error).__name__}: {error}"),
            )
            # Locked, full or read-only is an OperationalError; a bare DatabaseError says: no database, or a broken one.
            if type(error) is sqlite3.DatabaseError:
                with suppress(OSError):
                    self.path.replace(self._damaged)

    @contextmanager
    def _strict(self, done: str, advice: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise ArtifactWriteError(
                f"the embedding cache {self.path} cannot be {done}: {error}; "
                f"{advice}, check its permissions, or name another folder with content.cache_dir"
            ) from error


@contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    # Immediate: two writers that both begin by reading would each wait for the other to finish.
    database.execute("BEGIN IMMEDIATE")
    with database:
        yield


def _size(database: sqlite3.Connection) -> int:
    pages, free, size = (
        database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _bytes(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _portions(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(keys), _MANY):
        yield keys[start : start + _MANY]
