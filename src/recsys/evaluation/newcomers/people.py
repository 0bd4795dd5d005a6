"""Profiles cut to a few liked games: what the hybrid makes of a newcomer's first likes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recsys import metrics
from recsys.evaluation.contenders import CF
from recsys.evaluation.newcomers.rankings import HYBRID, WITHOUT_CONTENT, Rankings, TooFew
from recsys.evaluation.ranking import BLOCK_CELLS, best_columns, blocks

if TYPE_CHECKING:
    import numpy.typing as npt
    import scipy.sparse as sp

    from recsys.config import EvaluationSettings
    from recsys.evaluation.newcomers.sample import Sample, Train
    from recsys.models.cf import CollaborativeFilter

LONGEST = 5
"""Profiles of 1 to so many liked games."""
SEEDS = 5
"""A fifth of the people each: whose first likes happen to be telling should not depend on one draw."""
PEOPLE = 50
"""Fewer are not worth an interval."""
_UNSEEN = 5
"""One in so many users is kept from training at most."""


def short_profiles(sample: Sample, train: Train, settings: EvaluationSettings, rankings: int) -> dict[str, Any]:
    """Cut the profiles of users whom training has not seen to 1-5 liked games.

    What else they like is looked for among all games but those of the profile; the score is
    NDCG@k. The same people are measured at every length, and a longer profile begins with the
    shorter one.

    Parameters
    ----------
    sample, train, settings
        As for :func:`recsys.evaluation.newcomers.measure_newcomers`.
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
    people = _People(sample, model, liked, settings)
    found = {size: Rankings() for size in range(1, LONGEST + 1)}
    for block in blocks(tested, max(matrix.shape[1], model.item_factors.shape[1] ** 2), BLOCK_CELLS):
        for size, rankings_of_size in found.items():
            people.rank(block, size, rankings_of_size)
    profiles = [{"liked": size, **rankings_of_size.as_json(settings)} for size, rankings_of_size in found.items()]
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
    return np.sort(np.random.default_rng(settings.seed).permutation(able)[:number]).astype(np.int32)


class _People:
    """People whom a filter has not seen, and the games they are known by; ``liked``: CSR, (people, games)."""

    def __init__(
        self, sample: Sample, model: CollaborativeFilter, liked: sp.csr_matrix, settings: EvaluationSettings
    ) -> None:
        self.vectors, self.liked, self.k = sample.vectors, liked, settings.k
        self.item_factors, self.hybrid = model.item_factors, sample.hybrid(model)
        self.known_by = np.empty((liked.shape[0], LONGEST), dtype=np.int64)
        for seed in range(SEEDS):
            fifth = slice(seed, None, SEEDS)
            self.known_by[fifth] = _first_likes(liked[fifth], np.random.default_rng([settings.seed, seed]))

    def rank(self, block: slice, size: int, collected: Rankings) -> None:
        """Add the scores of some people's rankings, by profiles of one size."""
        profiles = self.known_by[block, :size]
        wanted = self.liked[block].toarray() > 0
        np.put_along_axis(wanted, profiles, values=False, axis=1)
        number = np.count_nonzero(wanted, axis=1)
        for name, scores in self._scores(profiles).items():
            np.put_along_axis(scores, profiles, np.float32(-np.inf), axis=1)
            hits = np.take_along_axis(wanted, best_columns(scores, self.k), axis=1)
            collected.add(name, metrics.ndcg(hits, number, self.k))

    def _scores(self, profiles: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.float32]]:
        hybrid, size = self.hybrid, profiles.shape[1]
        visitors = hybrid.fold_in(profiles)
        content = self.vectors[profiles].mean(axis=1) @ self.vectors.T
        return {
            HYBRID: hybrid.scores(visitors, size, content),
            WITHOUT_CONTENT: hybrid.scores(visitors, size),
            CF: hybrid.folding.user(self.item_factors[profiles]) @ self.item_factors.T,
        }


def _first_likes(liked: sp.csr_matrix, draw: np.random.Generator) -> npt.NDArray[np.int64]:
    """Draw five liked games of each row, in a random order; int64, (rows, 5)."""
    order = np.lexsort((draw.random(liked.nnz), np.repeat(np.arange(liked.shape[0]), np.diff(liked.indptr))))
    first: npt.NDArray[np.int64] = liked.indices[order[liked.indptr[:-1, None] + np.arange(LONGEST)]].astype(np.int64)
    return first
