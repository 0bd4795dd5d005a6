"""Arrays in ``.npz`` files: written as a stream, and read where they lie, without a copy.

A file holds what ``numpy.savez`` would write, with padding between: each array begins at a multiple of
:data:`ALIGNED`, so that it can be used as it is mapped from the disk. The same arrays are the same bytes.
"""

from __future__ import annotations

import io
import struct
import zipfile
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from recsys.release.damage import expect, reading

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from recsys.release.durable import Buffer

ALIGNED = 64
"""Bytes: a multiple of every dtype's size, and a line of a CPU's cache."""
_PADDING = 0xD935
"""Kind of an extra field of a ZIP entry that only aligns, as Android's tools write it."""
_EXTRA = 4
"""Bytes of an empty extra field."""
_SIZES = 20
"""Bytes of the extra field that holds the sizes of an entry of any length."""
_LOCAL = 30
"""Bytes of an entry's header, before its name and its extra fields (PKWARE's APPNOTE, section 4.3.7)."""
_SUFFIX = ".npy"


class Field(NamedTuple):
    """What an array must be.

    Attributes
    ----------
    dimensions
        How many it has.
    dtypes
        Names of the dtypes that it may have; ``str`` for texts of any length.
    """

    dimensions: int
    dtypes: tuple[str, ...]

    def problem(self, array: npt.NDArray[Any]) -> str:
        """Say what is wrong with an array; nothing if it is what it must be."""
        dtype = "str" if array.dtype.kind == "U" else array.dtype.name
        if array.ndim == self.dimensions and dtype in self.dtypes:
            return ""
        return f"{array.ndim} dimensions of {dtype} instead of {self.dimensions} of {' or '.join(self.dtypes)}"


def arrays_of(data: Buffer, *, intact: bool = True) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of an ``.npz`` file as views of its content, for reading only.

    One that does not lie at a multiple of its own size, as ``numpy.savez`` may leave it, is copied.

    Parameters
    ----------
    data
        The content, which must stay as long as the arrays.
    intact
        Whether it is known to be what was written; otherwise the archive's own checksums are compared.

    Raises
    ------
    Exception
        An error of any kind, if it is no such file, or holds compressed arrays or Python objects.
    """
    view = memoryview(data).cast("B")
    with zipfile.ZipFile(_Reader(view)) as archive:
        if not intact and (broken := archive.testzip()):
            raise zipfile.BadZipFile(f"{broken} does not match its checksum")
        entries = archive.infolist()
    return {entry.filename.removesuffix(_SUFFIX): _array(view, entry) for entry in entries}


def _array(view: memoryview, entry: zipfile.ZipInfo) -> npt.NDArray[Any]:
    import numpy as np

    if entry.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{entry.filename} is compressed")
    name, extra = struct.unpack_from("<HH", view, entry.header_offset + _LOCAL - 4)
    start = entry.header_offset + _LOCAL + name + extra
    content = view[start : start + entry.file_size]
    header = _Reader(content)
    version = np.lib.format.read_magic(header)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(header)
    if dtype.hasobject:
        raise ValueError(f"{entry.filename} holds Python objects, which are not read")
    values = content[header.tell() :]
    if len(values) != dtype.itemsize * int(np.prod(shape, dtype=np.int64)):
        raise ValueError(f"{entry.filename} has {len(values):,} bytes of values for {shape} of {dtype}")
    array: npt.NDArray[Any] = np.frombuffer(values, dtype) if len(values) else np.empty(shape, dtype)
    array = array.reshape(shape, order="F" if fortran else "C")
    return array if array.flags.aligned else array.copy()


def read_npz(
    name: str, data: Buffer, fields: Mapping[str, Field], *, optional: Mapping[str, Field] | None = None
) -> dict[str, npt.NDArray[Any]]:
    """Return the known arrays of an ``.npz`` file, see :func:`arrays_of`; others are passed over.

    Parameters
    ----------
    name
        Name of the file, for errors.
    data
        Its content.
    fields
        What each array must be.
    optional
        Arrays that may be missing.

    Raises
    ------
    ArtifactCorrupt
        If it is no such file, or an array is missing or something else.
    """
    known = {**fields, **(optional or {})}
    with reading(name):
        # What is in memory was read from a folder without a seal; what is mapped was verified.
        held = arrays_of(data, intact=isinstance(data, memoryview))
    arrays = {key: held[key] for key in known if key in held}
    for key, field in known.items():
        array = arrays.get(key)
        if array is None:
            expect(name, sound=key not in fields, problem=f"it holds no array {key}")
        elif problem := field.problem(array):
            expect(name, sound=False, problem=f"{key} has {problem}")
    return arrays


def write_npz(file: BinaryIO, **arrays: npt.NDArray[Any]) -> None:
    """Write arrays as an ``.npz`` file, one after the other, without a copy of any; ``numpy.load`` reads it.

    Parameters
    ----------
    file
        Written from its beginning to its end; nothing is looked for in it.
    arrays
        By name.
    """
    import numpy as np

    out = _Stream(file)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(name + _SUFFIX)  # of the year 1980: the same bytes at any time
            end = out.tell() + _LOCAL + len(entry.filename.encode()) + _EXTRA + _SIZES
            padding = -end % ALIGNED
            entry.extra = struct.pack("<HH", _PADDING, padding) + bytes(padding)
            with archive.open(entry, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


class _Reader(io.RawIOBase):
    """Reads a buffer that is not copied."""

    def __init__(self, view: memoryview) -> None:
        self._view, self._at = view, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._view)}[whence]
        if origin + offset < 0:
            raise OSError("before the beginning")
        self._at = origin + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, into: Any) -> int:
        piece = self._view[self._at : self._at + len(into)]
        into[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


class _Stream(io.RawIOBase):
    """Writes on, and counts; it cannot be sought in, so that what was written is never changed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._at = file, 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def write(self, data: Any) -> int:
        self._file.write(data)
        self._at += memoryview(data).nbytes
        return memoryview(data).nbytes
