"""Which games stand beside which: nearest neighbours among unit vectors, in blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

_CELLS = 1 << 24
"""Similarities held at once: 64 MB."""


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
    banned = ~vectors.any(axis=1) if allowed is None else ~(allowed & vectors.any(axis=1))
    depth = min(k, len(vectors))
    found = np.full((len(queries), k), -1, dtype=np.int64)
    step = max(1, _CELLS // max(len(vectors), 1))
    for start in range(0, len(queries), step):
        rows = queries[start : start + step]
        scores = vectors[rows] @ vectors.T
        scores[:, banned] = -np.inf
        scores[np.arange(len(rows)), rows] = -np.inf
        scores[~vectors[rows].any(axis=1)] = -np.inf
        best = np.argpartition(-scores, depth - 1, axis=1)[:, :depth] if depth < len(vectors) else _all(scores)
        best.sort(axis=1)
        values = np.take_along_axis(scores, best, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        best = np.take_along_axis(best, order, axis=1)
        values = np.take_along_axis(values, order, axis=1)
        found[start : start + step, :depth] = np.where(np.isfinite(values), best, -1)
    return found


def _all(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
    return np.tile(np.arange(scores.shape[1]), (len(scores), 1))
