"""Games held out whole: who will like a game that nobody has rated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recsys.evaluation.contenders import CONTENT
from recsys.evaluation.holdout import part
from recsys.evaluation.newcomers.rankings import HYBRID, WITHOUT_CONTENT, Rankings, TooFew
from recsys.marts import column_counts
from recsys.ranking import metrics
from recsys.ranking.hashing import id_hashes
from recsys.ranking.top import BLOCK_CELLS, best_columns, blocks, entries

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from recsys.config import EvaluationSettings
    from recsys.evaluation.newcomers.sample import Sample, Train
    from recsys.models.cf import CollaborativeFilter

    Floats = npt.NDArray[np.float32]
    Mask = npt.NDArray[np.bool_]

FOLDS = 5
TAGS = "tags"
"""Name of the rival that ranks by the popularity of a game's tags."""


def cold_games(sample: Sample, train: Train, settings: EvaluationSettings, rankings: int) -> dict[str, object]:
    """Hold a fifth of the games out whole, five times; users rank them for those that they like.

    Each fold's filter is trained without a rating of the fold's games. Every user ranks these
    games, and, second, all games but those they have rated otherwise; the fold's games that they
    like are relevant. The score is Recall@2k (at most 2k games can be found).

    Parameters
    ----------
    sample, train, settings
        The arguments of :func:`recsys.evaluation.newcomers.measure_newcomers`.
    rankings
        Users of a fold at most.

    Returns
    -------
    dict
        ``metric``, ``folds``, and ``held_out`` and ``all``: the scores among the held-out games and
        among all; see :meth:`Rankings.as_json`.

    Raises
    ------
    TooFew
        If a fold would not hold twice as many games as a list, or nobody likes one of them.
    """
    among, overall = cold_rankings(sample, train, settings, rankings)
    return {
        "metric": f"recall@{2 * settings.k}",
        "folds": FOLDS,
        "held_out": among.as_json(settings),
        "all": overall.as_json(settings),
    }


def cold_rankings(
    sample: Sample, train: Train, settings: EvaluationSettings, rankings: int
) -> tuple[Rankings, Rankings]:
    """Return the scores behind :func:`cold_games`, ranking by ranking: among the held-out games, and among all.

    The same sample, settings and number of rankings give the same rankings in the same order, whatever
    the vectors: two ways to embed the games can be compared pair by pair.

    Raises
    ------
    TooFew
        As :func:`cold_games` does.
    """
    depth = 2 * settings.k
    games = len(sample.ratings.items)
    folds = id_hashes(sample.ratings.items, "cold fold", settings.seed) % np.uint64(FOLDS)
    smallest = int(np.bincount(folds.astype(np.int64), minlength=FOLDS).min())
    if smallest < 2 * depth:
        raise TooFew(
            f"Of {games:,} rated games in the catalogue a fold would hold {smallest:,}: {2 * depth} are needed, twice"
            " as many as a list has."
        )
    among, overall = Rankings(), Rankings()
    for fold in range(FOLDS):
        cold = folds == fold
        held = _Fold(sample, train(sample.without(cold[sample.ratings.matrix.indices])), cold)
        users = sample.draw(held.able(), rankings, f"ranks fold {fold}", settings.seed)
        for block in blocks(users, games, BLOCK_CELLS):
            held.rank(users[block], depth, among, overall)
    if not among.scores:
        raise TooFew("Nobody likes two games of the sample: nothing could be looked for.")
    return among, overall


class _Fold:
    """One fold: its games, and a filter that has not seen them."""

    def __init__(self, sample: Sample, model: CollaborativeFilter, cold: Mask) -> None:
        self.sample, self.model, self.cold = sample, model, cold
        self.hybrid = sample.hybrid(model)
        liked = sample.liked
        self.relevant = liked[:, np.flatnonzero(cold)]
        self.profile = part(liked, ~cold[liked.indices])
        self.tags = _tag_popularity(sample.tags, column_counts(model.ratings.indices, len(cold)), cold)

    def able(self) -> npt.NDArray[np.int64]:
        """Return the users who like games on either side."""
        return np.flatnonzero((np.diff(self.relevant.indptr) > 0) & (np.diff(self.profile.indptr) > 0))

    def rank(self, users: npt.NDArray[np.int32], depth: int, among: Rankings, overall: Rankings) -> None:
        """Add the scores of some users' rankings, among the fold's games and among all."""
        relevant = np.zeros((len(users), len(self.cold)), dtype=bool)
        relevant[:, self.cold] = self.relevant[users].toarray() > 0
        number = np.count_nonzero(relevant, axis=1)
        known = entries(self.model.ratings, users)
        for name, scores in self._scores(users).items():
            hits = np.take_along_axis(relevant[:, self.cold], best_columns(scores[:, self.cold], depth), axis=1)
            among.add(name, metrics.recall(hits, number, depth))
            scores[known] = -np.inf
            hits = np.take_along_axis(relevant, best_columns(scores, depth), axis=1)
            overall.add(name, metrics.recall(hits, number, depth))

    def _scores(self, users: npt.NDArray[np.int32]) -> dict[str, Floats]:
        hybrid, vectors = self.hybrid, self.sample.vectors
        visitors = hybrid.visitor(self.model.user_factors[users])
        profiles = self.profile[users]
        means = np.asarray(profiles @ vectors / np.diff(profiles.indptr)[:, None], dtype=np.float32)
        content = means @ vectors.T
        rated = np.diff(self.model.ratings.indptr)[users]
        return {
            HYBRID: hybrid.scores(visitors, rated, content),
            WITHOUT_CONTENT: hybrid.scores(visitors, rated),
            CONTENT: content,
            TAGS: np.tile(self.tags, (len(users), 1)),
        }


def _tag_popularity(tags: Sequence[Sequence[str]], ratings: npt.NDArray[np.int64], cold: Mask) -> Floats:
    """Return, summed over a game's tags, the mean number of ratings of the known games with the tag; float32."""
    counts: dict[str, list[int]] = {}
    for game in np.flatnonzero(~cold).tolist():
        for tag in tags[game]:
            counts.setdefault(tag, []).append(int(ratings[game]))
    means = {tag: float(np.mean(numbers)) for tag, numbers in counts.items()}
    return np.array([sum(means.get(tag, 0.0) for tag in own) for own in tags], dtype=np.float32)
