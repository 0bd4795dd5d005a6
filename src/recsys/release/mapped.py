"""Files in memory as far as they are looked at: mapped, for reading."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import FileIO
    from pathlib import Path


class MappedFile(mmap.mmap):
    """A file in memory.

    Attributes
    ----------
    path
        Where it was opened.
    """

    path: Path


def mapped(path: Path) -> memoryview:
    """Return the content of a file; the map lasts as long as somebody has a view of it."""
    with path.open("rb", buffering=0) as file:
        return mapped_from(file, path)


def mapped_from(file: FileIO, path: Path) -> memoryview:
    """Return the content of an open file, which may be closed afterwards."""
    if not os.fstat(file.fileno()).st_size:  # nothing cannot be mapped
        return memoryview(b"")
    found = MappedFile(file.fileno(), 0, access=mmap.ACCESS_READ)
    found.path = path
    return memoryview(found)
