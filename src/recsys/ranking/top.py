"""The best k of many scores, always in the same order: the higher first, equal ones by the lower place."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    import scipy.sparse as sp

    from recsys.marts.ids import Id

BLOCK_CELLS = 1 << 23
"""Scores held at once, users × items: 32 MiB as float32, small enough to stay near the caches."""


class Scored(NamedTuple):
    """A game and its score; the higher the better."""

    game_id: Id
    score: float


class Neighbour(NamedTuple):
    """A game and its squared Euclidean distance in [0, 4] (unit vectors); the lower the nearer."""

    game_id: Id
    distance: float


def top_k(scores: npt.NDArray[np.floating], k: int) -> npt.NDArray[np.intp]:
    """Return the places of the best ``k`` scores of one row, best first: :func:`best_columns` for one row.

    Parameters
    ----------
    scores
        Shape (n,). Places that may not be returned hold ``-inf``; NaN is not allowed.
    k
        At most so many; fewer come back where fewer scores are left, so that nobody ever
        sees a padded row.

    Returns
    -------
    numpy.ndarray
        intp, (k or fewer,).
    """
    depth = max(0, min(k, len(scores)))
    places = np.arange(len(scores))
    if depth and len(scores) > 4 * depth:  # spares a full sort
        places = np.flatnonzero(scores >= np.partition(scores, len(scores) - depth)[len(scores) - depth])
    values = scores[places]
    best = places[np.argsort(-values, kind="stable")[:depth]]
    return best[scores[best] > -np.inf]


def best_columns(scores: npt.NDArray[np.floating], k: int) -> npt.NDArray[np.int32]:
    """Return the columns of the ``k`` highest scores of each row, best first: the one rule for ties.

    Equal scores are ranked by column, the lower first, also at the edge of the list, so that a
    ranking never depends on how a library happened to partition.

    Parameters
    ----------
    scores
        float32 or float64, (rows, columns). Columns that must not be ranked hold ``-inf``; NaN is not allowed.
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
    listed = _candidates(scores, depth) if columns > 4 * depth else np.arange(columns)[None, :].repeat(rows, axis=0)
    row = np.arange(rows)[:, None]
    values = scores[row, listed]
    order = np.argsort(-values, axis=1, kind="stable")[:, :depth]
    best[:, :depth] = np.where(values[row, order] > -np.inf, listed[row, order], -1)
    return best


def _candidates(scores: npt.NDArray[np.floating], depth: int) -> npt.NDArray[np.intp]:
    """Return the columns of the best ``depth`` of each row, ascending, which spares a full sort."""
    rows, columns = scores.shape
    edge = np.partition(scores, columns - depth, axis=1)[:, columns - depth, None]
    chosen = scores >= edge
    crowded = np.flatnonzero(np.count_nonzero(chosen, axis=1) > depth)
    if len(crowded):
        chosen[crowded] = _first_of_the_tied(scores[crowded], edge[crowded], depth)
    return np.nonzero(chosen)[1].reshape(rows, depth)


def _first_of_the_tied(
    scores: npt.NDArray[np.floating], edge: npt.NDArray[np.floating], depth: int
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


@contextmanager
def one_faiss_thread() -> Iterator[None]:
    """Let FAISS answer a single query by one thread: two take twice as long.

    The number of threads belongs to the calling thread, and is put back.
    """
    import faiss

    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)
