"""The best k of an array of scores, always in the same order, and how single queries are computed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from recsys.marts.ids import Id


class Scored(NamedTuple):
    """A game and its score; the higher the better."""

    game_id: Id
    score: float


class Neighbour(NamedTuple):
    """A game and its squared Euclidean distance in [0, 4] (unit vectors); the lower the nearer."""

    game_id: Id
    distance: float


def top_k(scores: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.intp]:
    """Return the places of the best ``k`` scores, best first; ties go to the lower place.

    Parameters
    ----------
    scores
        Shape (n,). Places that may not be returned hold ``-inf``; NaN is not allowed.
    k
        At most so many; fewer come back where fewer finite scores are left, so that nobody ever
        sees a padded row.
    """
    k = max(0, min(k, len(scores)))
    if k < len(scores):
        worst = -np.partition(-scores, k - 1)[k - 1] if k else np.inf
        places = np.flatnonzero(scores >= worst)
    else:
        places = np.arange(len(scores))
    places = places[np.isfinite(scores[places])]
    return places[np.argsort(-scores[places], kind="stable")][:k]


_WORTH_THREADS = 1 << 20
"""Multiplications from which on BLAS, with its threads, is quicker."""


def inner_products(rows: npt.NDArray[np.float32], query: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the inner products of rows with one vector; float32, (n,).

    Small ones are not left to BLAS: where other work keeps the cores busy, waking its threads takes
    a hundred times as long as the sums.
    """
    products: npt.NDArray[np.float32] = (
        rows @ query if rows.size >= _WORTH_THREADS else np.einsum("ij,j->i", rows, query)
    )
    return products


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
