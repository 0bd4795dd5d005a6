"""Games for people, by the hybrid model: by factors, which every game has, and by content where ratings say little.

The scores are those of :meth:`recsys.models.hybrid.HybridRecommender.scores`; a list is proven without scoring
every game by both.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from recsys.models.hybrid import CONTENT_SHARE, HALF_TRUST
from recsys.ranking.moments import Moments
from recsys.ranking.scorer import Scorer, scores_for
from recsys.ranking.top import top_k
from recsys.serving.taste import YARDSTICK, spread_evenly

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsys.models.hybrid import HybridRecommender
    from recsys.ranking.scorer import Ranked, Ranking
    from recsys.serving.content import ContentSpace
    from recsys.serving.lift import Lift
    from recsys.serving.profiles import Profile
    from recsys.serving.taste import TasteSpace

    Floats = npt.NDArray[np.float32]
    Doubles = npt.NDArray[np.float64]
    Rows = npt.NDArray[np.intp]

_LOOKED_AT = 64


class HybridSpace:
    """Ranks all games by the hybrid model of a release.

    Parameters
    ----------
    model
        Factors of all games, and how far each is trusted.
    content
        The vectors of the same games.
    """

    def __init__(self, model: HybridRecommender, content: ContentSpace) -> None:
        self.model, self.content = model, content

    def scores(self, profile: Profile, query: Floats, taste: TasteSpace) -> HybridScores:
        """Return the scores for one person.

        Parameters
        ----------
        profile
            What is known of the person.
        query
            float32, (dimension,): the unit mean of the texts that they liked.
        taste
            Says which games have factors of their own.
        """
        return HybridScores(self, profile, query, taste)

    def prepare(self) -> None:
        """Build what the first question would build."""
        _ = self.scorer, self.moments, self.measured
        self.model.folding.prepare()

    @cached_property
    def scorer(self) -> Scorer:
        """Ranks the games by factors alone."""
        return Scorer(self.model.factors)

    @cached_property
    def measured(self) -> tuple[Rows, Floats]:
        """Rows on which the spread of somebody's scores is measured, and their factors."""
        rows = spread_evenly(len(self.model.factors), YARDSTICK)
        return rows, self.model.factors[rows]

    @cached_property
    def moments(self) -> Moments:
        """Mean and deviation of the inner products of all games with somebody's factors."""
        return Moments(self.model.factors)


class HybridScores:
    """The hybrid model's scores for one person, with what is beside the factors where a game has ratings.

    Parameters
    ----------
    space
        The games of the release.
    profile, query, taste
        As for :meth:`HybridSpace.scores`.
    """

    def __init__(self, space: HybridSpace, profile: Profile, query: Floats, taste: TasteSpace) -> None:
        self._space, self._query = space, query
        self._visitor = space.model.visitor(profile.hybrid_factors)
        self._mean, self._deviation = space.moments.of(self._visitor)
        self._usual, self._unlike = space.content.moments.of(query)
        self._sure = profile.n_ratings / (profile.n_ratings + HALF_TRUST)
        self._beside: Doubles | None = None
        if profile.beside is not None:
            self._scale = np.full(len(taste.item_of_row), 1.0 / self._deviation)
            self._scale[taste.rows] = (1 - profile.blending.item_weight) / self._deviation
            self._beside = -self._mean * self._scale
            self._beside[taste.rows] += profile.beside.added[taste.items]

    def ranking(self, allowed: npt.NDArray[np.bool_], lift: Lift | None = None) -> Ranking:
        """Return the ranking of the games that are allowed; bool, (games,).

        ``lift`` is added to scores. Content moves a score by little: the best by taste are scored by
        text too. No other can be among the best: that is checked, and more are looked at until it holds.
        """
        by_taste = self._by_taste(allowed, lift)
        most = CONTENT_SHARE * (1 - self._usual) / self._unlike  # no cosine is above 1

        def rank(k: int) -> Ranked:
            count = max(_LOOKED_AT, 2 * k)
            while True:
                near, taste = by_taste(count)
                rows = np.sort(near)
                scores = (
                    self.scores(rows) if lift is None else (self._exact(rows) + lift.values[rows]).astype(np.float32)
                )
                best = top_k(scores, k)
                if len(near) < count:  # these are all
                    return rows[best], scores[best]
                if scores[best[-1]] > float(taste[-1]) + most:
                    return rows[best], scores[best]
                count *= 4

        return rank

    def spread(self) -> float:
        """Return the standard deviation of the scores of all games, by taste as far as they have factors.

        What content adds is left out: it moves a score by a tenth of its deviation at most. Measured on a part of the
        games where there are many; see :meth:`recsys.serving.taste.TasteSpace.spread`.
        """
        rows, factors = self._space.measured
        products = np.einsum("ij,j->i", factors, self._visitor).astype(np.float64)
        return float(self._standing(products, rows).std()) if len(rows) else 0.0

    def _by_taste(self, allowed: npt.NDArray[np.bool_], lift: Lift | None) -> Ranking:
        if lift is not None and self._beside is None:
            scale, mean = 1 / self._deviation, self._mean / self._deviation
            return self._space.scorer.shifted(self._visitor, allowed, scale, lift.values - mean)
        if self._beside is not None:
            beside = self._beside if lift is None else self._beside + lift.values
            return self._space.scorer.shifted(self._visitor, allowed, self._scale, beside)
        by_products = self._space.scorer.ranking(self._visitor, allowed)

        def rank(k: int) -> Ranked:
            near, products = by_products(k)
            return near, ((products - self._mean) / self._deviation).astype(np.float32)

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
        scale = np.full(len(rows), 1 / self._deviation) if self._beside is None else self._scale[rows]
        added: Floats = scale[:, None] * taste + self._doubt(rows)[:, None] * content / self._unlike
        return added

    def scores(self, rows: Rows) -> Floats:
        """Return the scores of the games at some rows; float32."""
        return self._exact(rows).astype(np.float32)

    def _exact(self, rows: Rows) -> npt.NDArray[np.floating]:
        taste = scores_for(self._visitor, self._space.model.factors[rows])
        content = self._space.content.cosines(self._query, rows)
        scores = self._standing(taste, rows) + self._doubt(rows) * (content - self._usual) / self._unlike
        return np.asarray(scores)

    def _standing(self, products: npt.NDArray[np.floating], rows: Rows) -> npt.NDArray[np.floating]:
        """Return scores without content from inner products of the games at some rows."""
        if self._beside is None:
            return np.asarray((products - self._mean) / self._deviation)
        return np.asarray(self._scale[rows] * products + self._beside[rows])

    def _doubt(self, rows: Rows) -> Floats:
        doubt: Floats = CONTENT_SHARE * (1 - self._space.model.trust[rows] * self._sure)
        return doubt
