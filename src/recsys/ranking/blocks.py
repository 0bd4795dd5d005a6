"""Full rankings by blocks: every game of the catalogue but those seen in training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    import scipy.sparse as sp

BLOCK_CELLS = 1 << 23
"""Scores held at once, users × items: 32 MiB as float32, small enough to stay near the caches."""


def best_columns(scores: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.int32]:
    """Return the columns of the ``k`` highest scores of each row, best first.

    Equal scores are ranked by column, the lower first, also at the edge of the list, so that a
    ranking never depends on how a library happened to partition.

    Parameters
    ----------
    scores
        float32, (rows, columns). Columns that must not be ranked hold ``-inf``; NaN is not allowed.
    k
        Length of the lists.

    Returns
    -------
    numpy.ndarray
        int32, (rows, k); -1 where a row has no more columns to rank.
    """
    rows, columns = scores.shape
    depth = min(k, columns)
    best = np.full((rows, k), -1, dtype=np.int32)
    if not rows or not depth:
        return best
    edge = np.partition(scores, columns - depth, axis=1)[:, columns - depth, None]
    chosen = scores >= edge
    crowded = np.flatnonzero(np.count_nonzero(chosen, axis=1) > depth)
    if len(crowded):
        chosen[crowded] = _first_of_the_tied(scores[crowded], edge[crowded], depth)
    listed = np.nonzero(chosen)[1].reshape(rows, depth)
    values = np.take_along_axis(scores, listed, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    ranked = np.take_along_axis(listed, order, axis=1)
    finite = np.take_along_axis(values, order, axis=1) > -np.inf
    best[:, :depth] = np.where(finite, ranked, -1)
    return best


def _first_of_the_tied(
    scores: npt.NDArray[np.float32], edge: npt.NDArray[np.float32], depth: int
) -> npt.NDArray[np.bool_]:
    """Choose ``depth`` columns a row where more than that reach the edge: the lowest of those on it."""
    above = scores > edge
    level = scores == edge
    room = depth - np.count_nonzero(above, axis=1)[:, None]
    chosen: npt.NDArray[np.bool_] = above | (level & (np.cumsum(level, axis=1, dtype=np.int32) <= room))
    return chosen


def blocks(users: npt.NDArray[np.integer], items: int, cells: int) -> Iterator[slice]:
    """Cut ``users`` into slices whose dense scores have at most ``cells`` cells (at least one user each)."""
    size = max(1, cells // max(items, 1))
    for start in range(0, len(users), size):
        yield slice(start, min(start + size, len(users)))


def entries(matrix: sp.csr_matrix, rows: npt.NDArray[np.integer]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int32]]:
    """Return the places of the stored entries of some rows: their position in ``rows``, and column."""
    part = matrix[rows]
    return np.repeat(np.arange(len(rows)), np.diff(part.indptr)), part.indices


def hits(lists: npt.NDArray[np.int32], relevant: sp.csr_matrix, rows: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """Return which places of lists hold a relevant column.

    Parameters
    ----------
    lists
        int32, (rows, depth): columns, -1 for padding; see :func:`best_columns`.
    relevant
        CSR: its stored entries are relevant.
    rows
        int, (rows,): the rows of ``relevant`` that the lists are for.

    Returns
    -------
    numpy.ndarray
        bool, of the shape of ``lists``.
    """
    columns = relevant.shape[1]
    marked = np.zeros((len(rows), columns + 1), dtype=bool)  # the last column answers the padding, -1
    marked[entries(relevant, rows)] = True
    return np.take_along_axis(marked, lists % (columns + 1), axis=1)
