"""The hold-out inside the training part that settings are compared on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recsys.ranking import metrics

if TYPE_CHECKING:
    import numpy.typing as npt
    import scipy.sparse as sp

    from recsys.models.solvers.ials import Factors

K = 10
"""Trials are compared by NDCG at this rank."""
FRACTION = 0.2
"""Share of a user's ratings that is held out."""

_BLOCK_CELLS = 4_000_000


@dataclass(frozen=True, eq=False)
class InnerSplit:
    """A part of the users, their ratings in two parts.

    Attributes
    ----------
    train
        CSR, float32, (sampled users, items).
    relevant
        CSR, float32, of the same shape: held-out ratings from the like threshold on.
    users
        int64: rows with a training rating and a relevant one.
    people
        int64: who they are, as rows of the table that was sampled.
    """

    train: sp.csr_matrix
    relevant: sp.csr_matrix
    users: npt.NDArray[np.int64]
    people: npt.NDArray[np.int64]

    @classmethod
    def draw(
        cls, ratings: sp.csr_matrix, threshold: float, seed: int, *, max_ratings: int, max_users: int
    ) -> InnerSplit:
        """Sample whole users; a quarter of them are scored, and only they lose ratings.

        A fifth of each one's ratings, rounded, is held out at random. Everybody else's stay, so
        that the games are learnt from nearly as much as without a hold-out.

        Parameters
        ----------
        ratings
            CSR, float32, users × items: the training part, nothing else.
        threshold
            From this rating on, a held-out game is relevant.
        seed
            Of the sample and of the hold-out.
        max_ratings
            Users are added until they have so many ratings.
        max_users
            At most so many of them lose ratings.
        """
        draws = np.random.default_rng([seed, max_ratings])
        order = draws.permutation(ratings.shape[0])
        enough = int(np.searchsorted(np.cumsum(np.diff(ratings.indptr)[order]), max_ratings)) + 1
        sampled = np.sort(order[:enough])
        sample = ratings[sampled]
        counts = np.diff(sample.indptr)
        rows = np.repeat(np.arange(len(counts)), counts)
        place = np.empty(sample.nnz, dtype=np.int64)
        place[np.lexsort((draws.random(sample.nnz), rows))] = np.arange(sample.nnz)
        scored = np.zeros(len(counts), dtype=bool)
        scored[draws.permutation(len(counts))[: min(max_users, -(-len(counts) // 4))]] = True
        out = scored[rows] & (place - sample.indptr[rows] < np.round(FRACTION * counts)[rows])
        train = _part(sample, rows, ~out)
        relevant = _part(sample, rows, out & (sample.data >= np.float32(threshold)))
        users = np.flatnonzero((np.diff(relevant.indptr) > 0) & (np.diff(train.indptr) > 0))
        return cls(train, relevant, users, sampled[users])

    def score(self, factors: Factors) -> npt.NDArray[np.float64]:
        """Return NDCG@10 of each of ``users``, the whole catalogue ranked but what they trained on."""
        scores = np.empty(len(self.users))
        size = max(1, _BLOCK_CELLS // self.train.shape[1])
        for start in range(0, len(self.users), size):
            block = slice(start, start + size)
            scores[block] = self._score(factors, self.users[block])
        return scores

    def _score(self, factors: Factors, users: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        predicted = factors.users[users] @ factors.items.T
        predicted[_cells(self.train, users)] = -np.inf
        depth = min(K, predicted.shape[1] - 1)
        best = np.argpartition(-predicted, depth, axis=1)[:, :depth]
        order = np.argsort(-np.take_along_axis(predicted, best, axis=1), axis=1, kind="stable")
        best = np.take_along_axis(best, order, axis=1)
        wanted = np.zeros(predicted.shape, dtype=bool)
        wanted[_cells(self.relevant, users)] = True
        return metrics.ndcg(np.take_along_axis(wanted, best, axis=1), wanted.sum(axis=1), K)


def _cells(matrix: sp.csr_matrix, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    part = matrix[rows]
    return np.repeat(np.arange(len(rows)), np.diff(part.indptr)), part.indices


def _part(matrix: sp.csr_matrix, rows: npt.NDArray[np.int64], keep: npt.NDArray[np.bool_]) -> sp.csr_matrix:
    import scipy.sparse as sp

    return sp.csr_matrix((matrix.data[keep], (rows[keep], matrix.indices[keep])), shape=matrix.shape)
