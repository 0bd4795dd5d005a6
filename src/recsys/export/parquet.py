"""Parquet: one file, or a folder of part files, that is replaced in one step."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Self

from recsys.errors import ArtifactWriteError
from recsys.export.staged import clearing, held, staged_for
from recsys.export.targets import refuse_other_columns
from recsys.release.durable import flush_folder, make_folder, remove, rename, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

    import pyarrow as pa

    Write = Callable[[pa.RecordBatch], None]

PART_ROWS = 5_000_000
"""Rows of a part file, about."""
_PART = "part-{:05d}.parquet"
_SWAP, _AT_FDCWD = 2, -100
"""Of ``renameat2``: exchange two names in one step (``linux/fs.h``); and paths that count from the working folder."""


class ParquetFile:
    """One Parquet file.

    Parameters
    ----------
    path
        The file; where it is a link, what it leads to.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path.resolve()

    @contextmanager
    def replaced(self, schema: pa.Schema, *, recreate: bool) -> Iterator[Write]:
        """Write beside the file, flush, and rename; see :class:`recsys.export.targets.Target`."""
        make_folder(self._path.parent)
        if self._path.exists():
            _refuse_file(self._path, schema, recreate=recreate)
        staged = staged_for(self._path)
        with held(staged, folder=False) as descriptor:
            with clearing(staged):
                with writing(f"write {staged}"):
                    os.ftruncate(descriptor, 0)
                with _Part(staged, descriptor, schema) as part:
                    yield part.write
            rename(staged, self._path)


class ParquetFolder:
    """A folder of Parquet files, ``part-00000.parquet`` and on, which hold the rows in order.

    Parameters
    ----------
    path
        The folder; where it is a link, what it leads to.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path.resolve()

    @contextmanager
    def replaced(self, schema: pa.Schema, *, recreate: bool) -> Iterator[Write]:
        """Write a folder beside it, flush, and let the two change places; see :class:`recsys.export.targets.Target`."""
        make_folder(self._path.parent)
        if os.path.lexists(self._path):
            _refuse_folder(self._path, schema, recreate=recreate)
        staged = staged_for(self._path)
        with held(staged, folder=True):
            with clearing(staged):
                with writing(f"clear {staged}"):
                    for left in os.listdir(staged):
                        remove(staged / left)
                with _Parts(staged, schema) as parts:
                    yield parts.write
                with writing(f"flush {staged}"):
                    flush_folder(staged)
            self._take_place(staged)

    def _take_place(self, staged: Path) -> None:
        try:
            if self._path.exists():
                _swap(staged, self._path)
            else:
                rename(staged, self._path)
        finally:
            # What is left has either been replaced or not taken the place: the table is whole without it.
            with suppress(ArtifactWriteError):
                remove(staged)


class _Part:
    """One Parquet file in the making, behind an open descriptor, which stays open."""

    def __init__(self, path: Path, descriptor: int, schema: pa.Schema) -> None:
        import pyarrow.parquet as pq

        self._path, self._rows = path, 0
        self._file = os.fdopen(os.dup(descriptor), "wb")
        # Readers see plain columns, as from a warehouse: without Arrow's schema beside Parquet's own.
        self._writer = pq.ParquetWriter(
            self._file,
            schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=[name for name in schema.names if name not in {"SCORE", "FACTORS", "EMBEDDING"}],
            dictionary_pagesize_limit=16 << 20,
            store_schema=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self._abandon()
            return
        import pyarrow.parquet as pq

        try:
            with writing(f"write {self._path}"):
                self._writer.close()
                self._file.flush()
                os.fsync(self._file.fileno())
                self._file.close()
        except BaseException:
            self._abandon()
            raise
        with writing(f"read {self._path} again"):
            stored = pq.read_metadata(self._path).num_rows
        if stored != self._rows:
            raise ArtifactWriteError(f"cannot write {self._path}: it holds {stored:,} rows of {self._rows:,}")

    def _abandon(self) -> None:
        self._writer.is_open = False  # else it would end the file that nobody wants when it is collected
        with suppress(OSError):
            self._file.close()

    def write(self, batch: pa.RecordBatch) -> None:
        """Write a batch, as a row group of its own."""
        if batch.num_rows:
            with writing(f"write {self._path}"):
                self._writer.write_batch(batch, row_group_size=batch.num_rows)
            self._rows += batch.num_rows


class _Parts:
    """Part files in the making, one after the other; at least one, so that an empty table has its columns."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self._folder, self._schema = folder, schema
        self._number = self._rows = 0
        self._opened = ExitStack()
        self._part = self._next()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.__exit__(kind, error, trace)

    def write(self, batch: pa.RecordBatch) -> None:
        """Write a batch into the file that has room for it."""
        if self._rows and self._rows + batch.num_rows > PART_ROWS:
            self._opened.close()
            self._part, self._rows = self._next(), 0
        self._part.write(batch)
        self._rows += batch.num_rows

    def _next(self) -> _Part:
        path = self._folder / _PART.format(self._number)
        self._number += 1
        with writing(f"write {path}"):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        self._opened.callback(os.close, descriptor)
        return self._opened.enter_context(_Part(path, descriptor, self._schema))


def _refuse_file(path: Path, schema: pa.Schema, *, recreate: bool) -> None:
    """Refuse to replace what is no Parquet file, or one with other columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with writing(f"replace {path}"):
        if not stat.S_ISREG(path.lstat().st_mode):
            raise ArtifactWriteError(f"cannot replace {path}: it is no plain file; name another target")
        try:
            there = pq.read_schema(path)
        except pa.ArrowInvalid:
            raise ArtifactWriteError(
                f"cannot replace {path}: it is no Parquet file, and would be gone; name another target, or remove it"
            ) from None
    refuse_other_columns(str(path), _columns(there), _columns(_as_read(schema)), recreate=recreate)


def _refuse_folder(path: Path, schema: pa.Schema, *, recreate: bool) -> None:
    """Refuse to replace what is no folder of part files."""
    with writing(f"replace {path}"):
        if not path.is_dir():
            raise ArtifactWriteError(
                f"cannot replace {path}: it is no folder; a target that is one file ends with .parquet"
            )
        names = sorted(os.listdir(path))
    foreign = [name for number, name in enumerate(names) if name != _PART.format(number)]
    if foreign:
        raise ArtifactWriteError(
            f"cannot replace {path}: it holds {foreign[0]}, which no export has written, and it would be gone; "
            "name another folder"
        )
    for name in names[:1]:
        _refuse_file(path / name, schema, recreate=recreate)


def _columns(schema: pa.Schema) -> dict[str, str]:
    return {field.name: str(field.type) for field in schema}


def _as_read(schema: pa.Schema) -> pa.Schema:
    """Return the schema that a reader of our file sees: types that Parquet lacks are the nearest that it has."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), sink, store_schema=False)
    return pq.read_schema(pa.BufferReader(sink.getvalue()))


def _swap(staged: Path, target: Path) -> None:
    """Let two folders change places in one step."""
    with writing(f"replace {target}"):
        swap = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
        failed = -1 if swap is None else swap(_AT_FDCWD, os.fsencode(staged), _AT_FDCWD, os.fsencode(target), _SWAP)
        code = ctypes.get_errno() if swap is not None else errno.ENOSYS
        if failed and code in {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP}:
            raise ArtifactWriteError(
                f"cannot replace {target}: this system cannot let two folders change places in one step; name one file "
                "(FILE.parquet), or a folder that is not there"
            )
        if failed:
            raise OSError(code, os.strerror(code))
        flush_folder(target.parent)
