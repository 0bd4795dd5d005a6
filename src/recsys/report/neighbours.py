"""Which games stand beside which: nearest neighbours among unit vectors, in blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

_CELLS = 1 << 24
"""Similarities held at once: 64 MB."""
_ROUNDING = 1e-5
"""More than the sums of two unit rows can differ by in float32."""


def unit_rows(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the rows with length 1; rows of zeros stay."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(norms == 0, 1, norms)).astype(np.float32)


def nearest(
    vectors: npt.NDArray[np.float32],
    queries: npt.NDArray[np.integer],
    k: int,
    allowed: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.int64]:
    """Return the rows nearest to some rows by cosine, nearest first, without the row itself.

    Parameters
    ----------
    vectors
        float32, (rows, dimensions): unit rows, or rows of zeros, which are nobody's neighbours.
    queries
        int, (n,): rows to find neighbours for.
    k
        Neighbours of each.
    allowed
        bool, (rows,): which rows may be found; all when not given.

    Returns
    -------
    numpy.ndarray
        int64, (n, k); -1 where there are fewer. Ties go to the lower row.
    """
    depth = min(k, len(vectors))
    banned = ~vectors.any(axis=1) if allowed is None else ~(allowed & vectors.any(axis=1))
    found = np.full((len(queries), k), -1, dtype=np.int64)
    step = max(1, _CELLS // max(len(vectors), 1))
    for start in range(0, len(queries), step):
        rows = queries[start : start + step]
        scores = vectors[rows] @ vectors.T
        scores[:, banned] = -np.inf
        scores[np.arange(len(rows)), rows] = -np.inf
        scores[~vectors[rows].any(axis=1)] = -np.inf
        for place, row in enumerate(rows, start):
            chosen = _best(vectors, row, scores[place - start], depth)
            found[place, : len(chosen)] = chosen
    return found


def _best(vectors: npt.NDArray[np.float32], row: int, scores: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.intp]:
    """Return the best ``k`` places of one row's similarities, ties by place.

    BLAS sums two equal rows in another order where they stand at another edge of a block, so that their similarities
    differ in the last bits. What comes near the list is therefore summed anew, by the two rows alone.
    """
    edge = np.partition(scores, len(scores) - k)[len(scores) - k]
    near = np.flatnonzero((scores >= edge - _ROUNDING) & np.isfinite(scores))
    exact = np.einsum("ij,j->i", vectors[near], vectors[row], dtype=np.float64)
    return near[np.argsort(-exact, kind="stable")[:k]]
