"""Arrays in ``.npz`` files: checked when read, the same bytes for the same arrays when written."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, NamedTuple

from recsys.release.damage import expect, reading

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt


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


def open_npz(source: Path | io.BytesIO) -> np.lib.npyio.NpzFile:
    """Open an archive of arrays, to be closed by the caller; one that holds pickled objects fails when they are read.

    Raises
    ------
    Exception
        An error of any kind, if it is no such archive.
    """
    import numpy as np

    archive = np.load(source, allow_pickle=False)
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise TypeError("it is no archive of arrays")
    return archive


def read_npz(
    name: str, data: bytes, fields: Mapping[str, Field], *, optional: Mapping[str, Field] | None = None
) -> dict[str, npt.NDArray[Any]]:
    """Return the known arrays of an ``.npz`` file; others are passed over.

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
    with reading(name), open_npz(io.BytesIO(data)) as archive:
        arrays = {key: archive[key] for key in known if key in archive}
    for key, field in known.items():
        array = arrays.get(key)
        if array is None:
            expect(name, sound=key not in fields, problem=f"it holds no array {key}")
        elif problem := field.problem(array):
            expect(name, sound=False, problem=f"{key} has {problem}")
    return arrays


def npz_bytes(**arrays: npt.NDArray[Any]) -> memoryview:
    """Return arrays as the content of an ``.npz`` file, the same bytes for the same arrays."""
    import numpy as np

    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getbuffer()
