"""Counts and sums over the rows and columns of a sparse matrix, piece by piece: numpy makes wider what it counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

_PIECE = 1 << 20
"""Entries that are counted at once; fixed, since the sums depend on it."""
_ROWS = 1 << 16
"""Rows that are counted at once."""


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


def row_counts(indptr: npt.NDArray[np.integer[Any]], counted: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return how many of some entries each row has; int64, (rows,).

    Parameters
    ----------
    indptr
        int, (rows + 1,): where each row begins.
    counted
        bool, (entries,): which entries.
    """
    counts = np.empty(len(indptr) - 1, dtype=np.int64)
    for start in range(0, len(counts), _ROWS):
        ends = indptr[start : start + _ROWS + 1]
        before = np.append(0, np.cumsum(counted[ends[0] : ends[-1]], dtype=np.int64))
        counts[start : start + _ROWS] = np.diff(before[ends - ends[0]])
    return counts
