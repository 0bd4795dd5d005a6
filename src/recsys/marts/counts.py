"""Counts and sums over the columns of a sparse matrix, piece by piece: numpy makes all that it counts at once wider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

_PIECE = 1 << 20
"""Entries that are counted at once; fixed, since the sums depend on it."""


def column_counts(indices: npt.NDArray[np.integer[Any]], columns: int) -> npt.NDArray[np.int64]:
    """Return how many entries each column has; int64, (columns,).

    Parameters
    ----------
    indices
        int, (entries,): the column of each.
    columns
        How many there are.
    """
    counts = np.zeros(columns, dtype=np.int64)
    for start in range(0, len(indices), _PIECE):
        counts += np.bincount(indices[start : start + _PIECE], minlength=columns)
    return counts


def column_sums(
    indices: npt.NDArray[np.integer[Any]], values: npt.NDArray[np.floating[Any]], columns: int
) -> npt.NDArray[np.float64]:
    """Return the sum of each column's entries; float64, (columns,).

    Parameters
    ----------
    indices
        int, (entries,): the column of each.
    values
        (entries,).
    columns
        How many there are.
    """
    sums = np.zeros(columns)
    for start in range(0, len(indices), _PIECE):
        piece = slice(start, start + _PIECE)
        sums += np.bincount(indices[piece], values[piece], minlength=columns)
    return sums
