"""The blend of taste and content.

For games that are like one, it is a mean of standard scores, weighted by how much the ratings say.
Cosines of factors and of embeddings are on different scales. Each is therefore standardised over
all games of the release, ``z = (score - mean) / standard deviation``, and a game's blended score is
``w z_taste + (1 - w) z_content`` with ``w = t(n_query) t(n_game)`` and ``t(n) = n / (n + 20)``, n
being a number of ratings: what nobody has rated is judged by its text alone.

The best by either side are looked at, 64 or four times as many as are wanted: a game that is
further down on both can be missed.

For people it is the hybrid model's score, whose list is proven; see :class:`HybridScores`.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from recsys.models.hybrid import CONTENT_SHARE, HALF_TRUST
from recsys.ranking.scorer import inner_products
from recsys.ranking.top import top_k

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from recsys.serving.snapshot import Snapshot

    Floats = npt.NDArray[np.float32]
    Rows = npt.NDArray[np.intp]
    Ranked = tuple[Rows, Floats]

DOUBT = 20
"""With so many ratings, taste and content weigh the same."""

_LOOKED_AT = 64
_REACH = 1024
"""Games whose taste is computed at first; on real catalogues hardly a list needs more."""
_ROUNDING = 1 + 1e-5
"""What rounding may add to a bound."""


def trust(n_ratings: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return how far taste is trusted, in [0, 1), for numbers of ratings."""
    counts = np.asarray(n_ratings, dtype=np.float64)
    return counts / (counts + DOUBT)


class Blend:
    """Blends for one release.

    Parameters
    ----------
    snapshot
        The release.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    def ranking(
        self,
        taste: Floats,
        query: Floats,
        n_ratings: int,
        allowed: npt.NDArray[np.bool_],
        near: Callable[[int], Ranked],
    ) -> Callable[[int], Ranked]:
        """Return the ranking by the mean of standard scores.

        Parameters
        ----------
        taste
            float32, in the order of the snapshot's ``taste_rows``.
        query
            float32, (dimension,): the unit vector that contents are compared with.
        n_ratings
            How many ratings the query's taste rests on.
        allowed
            bool, (games,): games that may be returned.
        near
            The ranking of these games by content.
        """
        at = self.snapshot
        spread = float(taste.std()) or 1.0
        deviation = self.deviation(query)
        standard = (taste - taste.mean()) / np.float32(spread)

        def rank(k: int) -> Ranked:
            count = max(_LOOKED_AT, 4 * k)
            tasty = at.taste_rows[top_k(np.where(allowed[at.taste_rows], taste, np.float32(-np.inf)), count)]
            rows = np.union1d(near(count)[0], tasty)
            content = (at.embeddings.cosines(query, rows) - self.mean @ query) / deviation
            places = at.place_of_row[rows]
            weight = trust(n_ratings) * trust(at.catalogue.n_ratings[rows]) * (places >= 0)
            scores = (weight * standard[places] + (1 - weight) * content).astype(np.float32)
            best = top_k(scores, k)
            return rows[best], scores[best]

        return rank

    def prepare(self) -> None:
        """Build what the first question would build."""
        _ = self.mean, self._covariance, self.lengths, self.mean_factors, self.spread
        self.snapshot.hybrid.folding.prepare()

    def hybrid(self, factors: Floats, query: Floats, n_ratings: int) -> HybridScores:
        """Return the scores of the hybrid model for one person.

        Parameters
        ----------
        factors
            float32, (factors,): the person's own, by games of the whole catalogue.
        query
            float32, (dimension,): the unit mean of the texts that they liked.
        n_ratings
            On how many ratings the factors rest.
        """
        return HybridScores(self, factors, query, n_ratings)

    def deviation(self, query: Floats) -> float:
        """Return the standard deviation of the cosines of all games with ``query``."""
        variance = float(inner_products(self._covariance, query).dot(query))
        return float(np.sqrt(max(variance, 1e-12)))

    @cached_property
    def longest_first(self) -> Rows:
        """(games,): rows of the catalogue by the length of their hybrid factors."""
        return np.argsort(-np.linalg.norm(self.snapshot.hybrid.factors, axis=1), kind="stable")

    @cached_property
    def ordered_factors(self) -> Floats:
        """float32, (games, factors): hybrid factors in that order."""
        return self.snapshot.hybrid.factors[self.longest_first]

    @cached_property
    def lengths(self) -> Floats:
        """float32, (games,): their lengths."""
        lengths: Floats = np.linalg.norm(self.ordered_factors, axis=1)
        return lengths

    @cached_property
    def mean_factors(self) -> Floats:
        """float32, (factors,): mean of the hybrid factors."""
        mean: Floats = self.snapshot.hybrid.factors.mean(axis=0, dtype=np.float64).astype(np.float32)
        return mean

    @cached_property
    def spread(self) -> Floats:
        """float32, (factors, factors): covariance of the hybrid factors."""
        centred = self.snapshot.hybrid.factors - self.mean_factors
        spread: Floats = (centred.T @ centred / max(len(centred), 1)).astype(np.float32)
        return spread

    @cached_property
    def mean(self) -> Floats:
        """float32, (dimension,): mean of the embeddings."""
        mean: Floats = self.snapshot.embeddings.vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
        return mean

    @cached_property
    def _covariance(self) -> Floats:
        vectors = self.snapshot.embeddings.vectors
        covariance: Floats = vectors.T @ vectors / np.float32(max(len(vectors), 1))
        covariance -= np.outer(self.mean, self.mean)
        return covariance


class HybridScores:
    """The hybrid model's scores for one person: by factors, which every game has, and by content.

    They are those of :meth:`recsys.models.hybrid.HybridRecommender.scores`.

    Parameters
    ----------
    blend
        Of the release.
    factors, query, n_ratings
        As for :meth:`Blend.hybrid`.
    """

    def __init__(self, blend: Blend, factors: Floats, query: Floats, n_ratings: int) -> None:
        self._blend, self._query = blend, query
        self._model = blend.snapshot.hybrid
        self._visitor = self._model.visitor(factors)
        self._mean = float(blend.mean_factors.dot(self._visitor))
        variance = float(inner_products(blend.spread, self._visitor).dot(self._visitor))
        self._deviation = max(float(np.sqrt(max(variance, 0))), 1e-9)
        self._usual, self._unlike = float(blend.mean.dot(query)), blend.deviation(query)
        self._sure = n_ratings / (n_ratings + HALF_TRUST)

    def ranking(self, allowed: npt.NDArray[np.bool_]) -> Callable[[int], Ranked]:
        """Return the ranking of the games that are allowed; bool, (games,).

        No inner product exceeds the product of both lengths, and content moves a score by little:
        the games with the longest factors are scored by taste, the best of them by text too. No
        other can be among the best: that is checked, and more are looked at until it holds.
        """
        blend, games = self._blend, len(self._model.factors)
        length = float(np.linalg.norm(self._visitor)) * _ROUNDING
        most = CONTENT_SHARE * (1 - self._usual) / self._unlike  # no cosine is above 1

        def rank(k: int) -> Ranked:
            reach, count = max(_REACH, 8 * k), max(_LOOKED_AT, 2 * k)
            while True:
                near = blend.longest_first[:reach]
                taste = inner_products(blend.ordered_factors[:reach], self._visitor)
                places = top_k(np.where(allowed[near], taste, np.float32(-np.inf)), count)
                beyond = length * float(blend.lengths[reach]) if reach < games else -np.inf
                between = float(taste[places[-1]]) if len(places) == count else -np.inf
                rows = np.sort(near[places])
                scores = self._scores(rows)
                best = top_k(scores, k)
                least = scores[best[-1]] if len(best) == k else -np.inf
                bound = (max(beyond, between) - self._mean) / self._deviation + most
                if least > bound or np.isneginf(bound):
                    return rows[best], scores[best]
                reach, count = (4 * reach, count) if beyond > between else (reach, 4 * count)

        return rank

    def weighted(self, rows: Rows, taste: Floats, content: Floats) -> Floats:
        """Return what parts of both sides add to the scores of some games.

        Parameters
        ----------
        rows
            (games,).
        taste, content
            float32, (games, parts): parts of inner products with the factors, and of cosines.
        """
        added: Floats = taste / self._deviation + self._doubt(rows)[:, None] * content / self._unlike
        return added

    def _scores(self, rows: Rows) -> Floats:
        taste = inner_products(self._model.factors[rows], self._visitor)
        content = self._blend.snapshot.embeddings.cosines(self._query, rows)
        scores = (taste - self._mean) / self._deviation + self._doubt(rows) * (content - self._usual) / self._unlike
        return scores.astype(np.float32)

    def _doubt(self, rows: Rows) -> Floats:
        doubt: Floats = CONTENT_SHARE * (1 - self._model.trust[rows] * self._sure)
        return doubt
