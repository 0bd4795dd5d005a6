"""Profiles cut to a few liked games: what the hybrid makes of a newcomer's first likes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recsys.evaluation.contenders import CF
from recsys.evaluation.newcomers.rankings import HYBRID, WITHOUT_CONTENT, Rankings, TooFew
from recsys.ranking import metrics
from recsys.ranking.hashing import id_hashes, mix
from recsys.ranking.top import BLOCK_CELLS, best_columns, blocks, entries

if TYPE_CHECKING:
    import numpy.typing as npt
    import scipy.sparse as sp

    from recsys.config import EvaluationSettings
    from recsys.evaluation.newcomers.sample import Sample, Train
    from recsys.models.cf import CollaborativeFilter

    Codes = npt.NDArray[np.int64]

LONGEST = 5
"""Profiles of 1 to so many liked games."""
SEEDS = 5
"""Each draws the first likes of a fifth of the people."""
PEOPLE = 50
"""Fewer are not worth an interval."""
_UNSEEN = 5
"""One in so many users is kept from training at most."""


def short_profiles(sample: Sample, train: Train, settings: EvaluationSettings, rankings: int) -> dict[str, object]:
    """Cut the profiles of users whom training has not seen to 1-5 liked games.

    What else they like is looked for among all games but those of the profile; the score is
    NDCG@k. The same people are measured at every length, and a longer profile begins with the
    shorter one.

    Parameters
    ----------
    sample, train, settings
        The arguments of :func:`recsys.evaluation.newcomers.measure_newcomers`.
    rankings
        People at most.

    Returns
    -------
    dict
        ``metric``, ``seeds``, and ``profiles``: for each length ``liked``, and the scores; see
        :meth:`Rankings.as_json`. The filter alone (``cf``) folds the profile in as it is.

    Raises
    ------
    TooFew
        If too few users like more than five games, or a list would hold half of all games.
    """
    tested = _people(sample, settings, rankings)
    matrix, liked = sample.ratings.matrix, sample.liked[tested]
    unseen = np.zeros(matrix.shape[0], dtype=bool)
    unseen[tested] = True
    model = train(sample.without(np.repeat(unseen, np.diff(matrix.indptr))))
    people = _People(sample, model, liked, first_likes(sample, tested, settings.seed), settings.k)
    by_size = {size: Rankings() for size in range(1, LONGEST + 1)}
    for block in blocks(tested, max(matrix.shape[1], model.item_factors.shape[1] ** 2), BLOCK_CELLS):
        for size, rankings_of_size in by_size.items():
            people.rank(block, size, rankings_of_size)
    profiles = [{"liked": size, **rankings_of_size.as_json(settings)} for size, rankings_of_size in by_size.items()]
    return {"metric": f"ndcg@{settings.k}", "seeds": SEEDS, "profiles": profiles}


def _people(sample: Sample, settings: EvaluationSettings, at_most: int) -> npt.NDArray[np.int32]:
    """Draw the users whom training must not see; int32, ascending."""
    users, games = sample.ratings.matrix.shape
    able = np.flatnonzero(np.diff(sample.liked.indptr) > LONGEST)
    number = min(at_most, len(able), users // _UNSEEN)
    if number < PEOPLE or games < 2 * settings.k:
        raise TooFew(
            f"Of {users:,} users {len(able):,} like more than {LONGEST} of {games:,} games: too few to keep {PEOPLE}"
            f" users from training and to rank {settings.k} games for them."
        )
    return sample.draw(able, number, "short profile", settings.seed)


class _People:
    """People whom a filter has not seen: what they like, CSR, and what they are known by, int64, (people, 5)."""

    def __init__(
        self, sample: Sample, model: CollaborativeFilter, liked: sp.csr_matrix, known_by: Codes, k: int
    ) -> None:
        self.vectors, self.liked, self.known_by, self.k = sample.vectors, liked, known_by, k
        self.item_factors, self.hybrid = model.item_factors, sample.hybrid(model)

    def rank(self, block: slice, size: int, collected: Rankings) -> None:
        """Add the scores of some people's rankings, by profiles of one size."""
        profiles = self.known_by[block, :size]
        relevant = self.liked[block].toarray() > 0
        np.put_along_axis(relevant, profiles, values=False, axis=1)
        number = np.count_nonzero(relevant, axis=1)
        for name, scores in self._scores(profiles).items():
            np.put_along_axis(scores, profiles, np.float32(-np.inf), axis=1)
            hits = np.take_along_axis(relevant, best_columns(scores, self.k), axis=1)
            collected.add(name, metrics.ndcg(hits, number, self.k))

    def _scores(self, profiles: Codes) -> dict[str, npt.NDArray[np.float32]]:
        hybrid, size = self.hybrid, profiles.shape[1]
        visitors = hybrid.fold_in(profiles)
        content = self.vectors[profiles].mean(axis=1) @ self.vectors.T
        return {
            HYBRID: hybrid.scores(visitors, size, content),
            WITHOUT_CONTENT: hybrid.scores(visitors, size),
            CF: hybrid.folding.user(self.item_factors[profiles]) @ self.item_factors.T,
        }


def first_likes(sample: Sample, users: npt.NDArray[np.int32], seed: int) -> Codes:
    """Return five games that each user likes, in a random order that belongs to their ids; int64, (users, 5)."""
    liked, first = sample.liked, np.empty((len(users), LONGEST), dtype=np.int64)
    groups = id_hashes(sample.ratings.users, "first likes", seed)[users] % np.uint64(SEEDS)
    for group in range(SEEDS):
        own = np.flatnonzero(groups == group)
        rows, games = entries(liked, users[own])
        hashes = [id_hashes(ids, "first likes", seed + group) for ids in (sample.ratings.users, sample.ratings.items)]
        order = np.lexsort((mix(hashes[0][users[own]][rows] ^ hashes[1][games]), rows))
        starts = np.searchsorted(rows, np.arange(len(own)))
        first[own] = games[order[starts[:, None] + np.arange(LONGEST)]]
    return first
