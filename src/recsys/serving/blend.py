"""The blend of taste and content.

For games that are like one, it is a mean of standard scores, weighted by how much the ratings say.
Cosines of factors and of embeddings are on different scales. Each is therefore standardised over
all games of the release, ``z = (score - mean) / standard deviation``, and a game's blended score is
``w z_taste + (1 - w) z_content`` with ``w = t(n_query) t(n_game)`` and ``t(n) = n / (n + 20)``, n
being a number of ratings: what nobody has rated is judged by its text alone.

The best by either side are looked at, 64 or four times as many as are wanted: a game that is
further down on both can be missed.

For people it is the hybrid model's score, whose list is proven; see :meth:`Blend.hybrid`.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from recsys.models.hybrid import CONTENT_SHARE, HALF_TRUST
from recsys.ranking import inner_products, top_k
from recsys.serving.content import HALF, HalfPrecision

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
        self._snapshot = snapshot

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
        at = self._snapshot
        spread = float(taste.std()) or 1.0
        deviation = self._deviation(query)
        standard = (taste - taste.mean()) / np.float32(spread)

        def rank(k: int) -> Ranked:
            count = max(_LOOKED_AT, 4 * k)
            tasty = at.taste_rows[top_k(np.where(allowed[at.taste_rows], taste, np.float32(-np.inf)), count)]
            rows = np.union1d(near(count)[0], tasty)
            content = (at.embeddings.cosines(query, rows) - self._mean @ query) / deviation
            places = at.place_of_row[rows]
            weight = trust(n_ratings) * trust(at.catalogue.n_ratings[rows]) * (places >= 0)
            scores = (weight * standard[places] + (1 - weight) * content).astype(np.float32)
            best = top_k(scores, k)
            return rows[best], scores[best]

        return rank

    def prepare(self) -> None:
        """Build what the first question would build."""
        _ = self._mean, self._covariance
        if self._snapshot.hybrid is not None:
            _ = self._half, self._longest, self._mean_factors, self._spread

    def hybrid(
        self, visitor: Floats, query: Floats, n_ratings: int, allowed: npt.NDArray[np.bool_]
    ) -> Callable[[int], Ranked]:
        """Return the ranking by the hybrid model's factors, which every game has, and by content.

        Content moves a score by so little that few games of the best by taste have to be compared
        by text. No other can be among the best: that is checked, and more are compared until it holds.

        Parameters
        ----------
        visitor
            float32, (factors,): from the hybrid model.
        query, n_ratings, allowed
            As for :meth:`ranking`.

        Returns
        -------
        callable
            The scores are those of :meth:`recsys.models.hybrid.HybridRecommender.scores`.
        """
        at, model = self._snapshot, self._snapshot.hybrid
        assert model is not None
        mean = float(self._mean_factors.dot(visitor))
        deviation = max(float(np.sqrt(max(inner_products(self._spread, visitor).dot(visitor), 0))), 1e-9)
        usual, unlike = float(self._mean.dot(query)), self._deviation(query)
        sure = n_ratings / (n_ratings + HALF_TRUST)
        # What half precision may hide, and what content adds at most: no cosine is above 1.
        hidden = HALF * self._longest * float(np.linalg.norm(visitor))
        most = CONTENT_SHARE * (1 - usual) / unlike

        def rank(k: int) -> Ranked:
            available = int(allowed.sum())
            count = max(_LOOKED_AT, 2 * k)
            while True:
                rows, rough = self._half.scan(visitor, max(1, min(count, available)), allowed)
                rows = np.sort(rows)
                taste = inner_products(model.factors[rows], visitor)
                content = (at.embeddings.cosines(query, rows) - usual) / unlike
                doubt = CONTENT_SHARE * (1 - model.trust[rows] * sure)
                scores = ((taste - mean) / deviation + doubt * content).astype(np.float32)
                best = top_k(scores, k)
                if count >= available or scores[best[-1]] > (rough[-1] + hidden - mean) / deviation + most:
                    return rows[best], scores[best]
                count *= 4

        return rank

    def _deviation(self, query: Floats) -> float:
        """Return the standard deviation of the cosines of all games with ``query``."""
        variance = float(inner_products(self._covariance, query).dot(query))
        return float(np.sqrt(max(variance, 1e-12)))

    @cached_property
    def _half(self) -> HalfPrecision:
        assert self._snapshot.hybrid is not None
        return HalfPrecision(self._snapshot.hybrid.factors)

    @cached_property
    def _longest(self) -> float:
        assert self._snapshot.hybrid is not None
        return float(np.linalg.norm(self._snapshot.hybrid.factors, axis=1).max(initial=0))

    @cached_property
    def _mean_factors(self) -> Floats:
        assert self._snapshot.hybrid is not None
        mean: Floats = self._snapshot.hybrid.factors.mean(axis=0, dtype=np.float64).astype(np.float32)
        return mean

    @cached_property
    def _spread(self) -> Floats:
        """float32, (factors, factors): covariance of the hybrid factors."""
        assert self._snapshot.hybrid is not None
        centred = self._snapshot.hybrid.factors - self._mean_factors
        spread: Floats = (centred.T @ centred / max(len(centred), 1)).astype(np.float32)
        return spread

    @cached_property
    def _mean(self) -> Floats:
        mean: Floats = self._snapshot.embeddings.vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
        return mean

    @cached_property
    def _covariance(self) -> Floats:
        vectors = self._snapshot.embeddings.vectors
        covariance: Floats = vectors.T @ vectors / np.float32(max(len(vectors), 1))
        covariance -= np.outer(self._mean, self._mean)
        return covariance
