"""Files in memory as far as they are looked at: mapped, for reading."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from recsys.errors import RecsysError

if TYPE_CHECKING:
    from io import FileIO

    import numpy.typing as npt


class MappedFile(mmap.mmap):
    """A file in memory.

    Attributes
    ----------
    path
        Where it was opened.
    inode
        Which file that was.
    """

    path: Path
    inode: int


def mapped(path: Path) -> memoryview:
    """Return the content of a file; the map lasts as long as somebody has a view of it."""
    with path.open("rb", buffering=0) as file:
        return mapped_from(file, path)


def mapped_from(file: FileIO, path: Path) -> memoryview:
    """Return the content of an open file, which may be closed afterwards."""
    status = os.fstat(file.fileno())
    if not status.st_size:  # nothing cannot be mapped
        return memoryview(b"")
    found = MappedFile(file.fileno(), 0, access=mmap.ACCESS_READ)
    found.path, found.inode = path, status.st_ino
    return memoryview(found)


class MappedArray(NamedTuple):
    """Where an array lies in a file, for another process to map it too.

    Attributes
    ----------
    path, inode
        The file.
    offset
        Of its first byte.
    dtype, shape
        The array's; C-contiguous.
    """

    path: str
    inode: int
    offset: int
    dtype: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, array: npt.NDArray[Any]) -> MappedArray | None:
        """Return where an array lies; None where it is not one whole piece of a mapped file."""
        import numpy as np

        base: object = array
        while isinstance(base, np.ndarray):
            base = base.base
        file = base.obj if isinstance(base, memoryview) else None
        if not isinstance(file, MappedFile) or not array.flags.c_contiguous:
            return None
        offset = array.ctypes.data - np.frombuffer(file, dtype=np.uint8).ctypes.data
        return cls(str(file.path), file.inode, offset, array.dtype.str, array.shape)

    def open(self, files: dict[Path, memoryview]) -> npt.NDArray[Any]:
        """Return the array, mapped; ``files`` holds those that are open, and takes those that are opened.

        Raises
        ------
        RecsysError
            If the file is another one by now.
        """
        import numpy as np

        path = Path(self.path)
        try:
            content = files[path] = files[path] if path in files else mapped(path)
        except OSError as error:
            raise RecsysError(f"{path} cannot be read any more: {error.strerror or error}") from error
        if not isinstance(content.obj, MappedFile) or content.obj.inode != self.inode:
            raise RecsysError(f"{path} became another file while its release was being loaded; load it again")
        count = int(np.prod(self.shape, dtype=np.int64))
        return np.frombuffer(content, self.dtype, count, self.offset).reshape(self.shape)
