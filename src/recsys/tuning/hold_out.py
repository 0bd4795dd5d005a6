"""The hold-out inside the training part that settings are compared on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from recsys.evaluation.holdout import part, scorable
from recsys.models.solvers.objective import table_size
from recsys.ranking import metrics
from recsys.ranking.places import placed
from recsys.ranking.top import blocks, entries

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    import scipy.sparse as sp

    from recsys.marts.ratings import Ratings
    from recsys.models.solvers import Factors

K = 10
"""Trials are compared by NDCG at this rank."""
FRACTION = 0.2
"""Share of a user's ratings that is held out."""

_BLOCK_CELLS = 4_000_000


class Shares(NamedTuple):
    """Shares of a table's users and of its games that are sampled."""

    users: float
    games: float


def shares(ratings: sp.csr_matrix, most: int) -> Shares:
    """Return how to sample so many ratings of a table that it looks most like itself.

    What chance alone would show goes by 1/√d_u + 1/√d_i (:mod:`recsys.models.recipe`; d: ratings of a mean user and
    game). Of p of the users and q of the games these are q·d_u and p·d_i, and p·q is what is sampled: the sum
    is least where both are equal. Where games have many more ratings than users, that is all of them.
    """
    share = min(1.0, most / max(ratings.nnz, 1))
    users, games = table_size(ratings.indptr, ratings.indices)
    of_games = max(share, min(1.0, float(np.sqrt(share * users / max(games, 1)))))
    return Shares(share / of_games, of_games)


class Scored(NamedTuple):
    """How many of the sampled users are scored: at most so many, and at most a share of them, rounded up."""

    most: int
    share: float = 0.25


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
    rated_at
        int64, aligned with ``train.data``: microseconds since 1970; None where the hold-out is no cut in time.
    """

    train: sp.csr_matrix
    relevant: sp.csr_matrix
    users: npt.NDArray[np.int64]
    people: npt.NDArray[np.int64]
    rated_at: npt.NDArray[np.int64] | None = None

    @classmethod
    def after_a_cut(
        cls, ratings: Ratings, threshold: float, seed: int, *, max_ratings: int, max_users: int
    ) -> InnerSplit:
        """Sample whole users; the latest fifth of all their ratings is held out, with one cut in time.

        Parameters
        ----------
        ratings
            The training part, dated.
        threshold, seed, max_ratings
            As for :meth:`draw`.
        max_users
            At most so many users are scored.
        """
        assert ratings.rated_at is not None
        matrix, draws = ratings.matrix, np.random.default_rng([seed, max_ratings, 1])
        order = draws.permutation(matrix.shape[0])
        enough = int(np.searchsorted(np.cumsum(np.diff(matrix.indptr)[order]), max_ratings)) + 1
        sampled = np.sort(order[:enough])
        sample = matrix[sampled]
        counts = np.diff(matrix.indptr)[sampled]
        places = np.repeat(matrix.indptr[sampled] - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
        rated_at = ratings.rated_at[places]
        late = int(FRACTION * len(rated_at))
        cut = np.partition(rated_at, len(rated_at) - late - 1)[len(rated_at) - late - 1] if len(rated_at) else 0
        out = rated_at > cut
        if late and not out.any():  # the newest date holds them all: so many of its ratings, by lot
            out[draws.permutation(np.flatnonzero(rated_at == cut))[:late]] = True
        train, relevant = part(sample, ~out), part(sample, out & (sample.data >= np.float32(threshold)))
        users = scorable(train, relevant)
        users = np.sort(draws.permutation(users)[:max_users])
        return cls(train, relevant, users, sampled[users], rated_at[~out])

    @classmethod
    def draw(
        cls, ratings: sp.csr_matrix, threshold: float, seed: int, *, max_ratings: int, scored: Scored
    ) -> InnerSplit:
        """Sample users; a share of them is scored, and only they lose ratings.

        Where games would be rated more thinly in the sample than users rate, games are sampled too; see
        :func:`shares`. A fifth of each one's ratings, rounded, is held out at random. Everybody else's stay, so
        that the games are learnt from nearly as much as without a hold-out.

        Parameters
        ----------
        ratings
            CSR, float32, users × items: the training part, nothing else.
        threshold
            From this rating on, a held-out game is relevant.
        seed
            Seed of the sample and of the hold-out.
        max_ratings
            Users are added until they have so many ratings.
        scored
            How many of them lose ratings.
        """
        draws = np.random.default_rng([seed, max_ratings])
        of_games = shares(ratings, max_ratings)[1]
        if of_games < 1:
            kept = draws.random(ratings.shape[1]) < of_games
            ratings = part(ratings, kept[ratings.indices])
        order = draws.permutation(ratings.shape[0])
        enough = int(np.searchsorted(np.cumsum(np.diff(ratings.indptr)[order]), max_ratings)) + 1
        sampled = np.sort(order[:enough])
        sample = ratings[sampled]
        counts = np.diff(sample.indptr)
        rows = np.repeat(np.arange(len(counts)), counts)
        place = np.empty(sample.nnz, dtype=np.int64)
        place[np.lexsort((draws.random(sample.nnz), rows))] = np.arange(sample.nnz)
        loses = np.zeros(len(counts), dtype=bool)
        loses[draws.permutation(len(counts))[: min(scored.most, ceil(len(counts) * scored.share))]] = True
        out = loses[rows] & (place - sample.indptr[rows] < np.round(FRACTION * counts)[rows])
        train = part(sample, ~out)
        relevant = part(sample, out & (sample.data >= np.float32(threshold)))
        users = scorable(train, relevant)
        return cls(train, relevant, users, sampled[users])

    def some(self, most: int, seed: int) -> InnerSplit:
        """Return the same split with at most so many users to be scored, by lot."""
        kept = np.sort(np.random.default_rng([seed, len(self.users)]).permutation(len(self.users))[:most])
        return replace(self, users=self.users[kept], people=self.people[kept])

    def score(self, factors: Factors) -> npt.NDArray[np.float64]:
        """Return NDCG@10 of each of ``users`` by the factors alone; see :meth:`judged`."""
        return self.judged(lambda block: factors.users[self.users[block]] @ factors.items.T)

    def judged(self, scores: Callable[[slice], npt.NDArray[np.float32]]) -> npt.NDArray[np.float64]:
        """Return NDCG@10 of each of ``users``, the whole catalogue ranked but what they trained on.

        Parameters
        ----------
        scores
            Returns the scores of all games for some of ``users``, float32, (n, games), to be written on.
        """
        judged = np.empty(len(self.users))
        for block in blocks(self.users, self.train.shape[1], _BLOCK_CELLS):
            users, predicted = self.users[block], scores(block)
            predicted[entries(self.train, users)] = -np.inf
            listed = placed(predicted, self.relevant, users, K)
            judged[block] = metrics.ndcg(listed, np.diff(self.relevant.indptr)[users], K)
        return judged
