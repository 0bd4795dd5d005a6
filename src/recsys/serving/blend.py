"""Games like one, by taste and content both: a mean of standard scores, weighted by how much the ratings say.

Cosines of factors and of embeddings are on different scales. Each is therefore standardised over
all games of the release, ``z = (score - mean) / standard deviation``, and a game's blended score is
``w z_taste + (1 - w) z_content`` with ``w = t(n_query) t(n_game)`` and ``t(n) = n / (n + 20)``, n
being a number of ratings: what nobody has rated is judged by its text alone.

The best by either side are looked at, 64 or four times as many as are asked for: a game that is
further down on both can be missed. For people it is the hybrid model's score; see
:mod:`recsys.serving.hybrid`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recsys.ranking.top import top_k

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsys.ranking.scorer import Ranked, Ranking
    from recsys.serving.content import ContentSpace
    from recsys.serving.lift import Lift
    from recsys.serving.taste import TasteSpace

    Floats = npt.NDArray[np.float32]
    Doubles = npt.NDArray[np.float64]
    Rows = npt.NDArray[np.intp]

DOUBT = 20
"""With so many ratings, taste and content weigh the same."""

_LOOKED_AT = 64


def trust(n_ratings: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return how far taste is trusted, in [0, 1), for numbers of ratings."""
    counts = np.asarray(n_ratings, dtype=np.float64)
    return counts / (counts + DOUBT)


class Blend:
    """Ranks games by their likeness to one, in both spaces of a release.

    Parameters
    ----------
    taste, content
        The spaces.
    n_ratings
        int64, (games,): ratings of each game.
    """

    def __init__(self, taste: TasteSpace, content: ContentSpace, n_ratings: npt.NDArray[np.int64]) -> None:
        self._taste, self._content, self._n_ratings = taste, content, n_ratings

    def neighbours(self, row: int, allowed: npt.NDArray[np.bool_], near: Ranking, lift: Lift | None) -> Ranking:
        """Return the ranking by the mean of standard scores.

        Parameters
        ----------
        row
            A game with factors.
        allowed
            bool, (games,): games that may be returned.
        near
            The ranking of these games by content, lifted by as many standard deviations of it.
        lift
            What is added to scores; None for nothing.
        """
        tasty = self._taste.neighbours(row, allowed, None if lift is None else lift.times(self._taste.usual(row)[1]))

        def rank(k: int) -> Ranked:
            count = max(_LOOKED_AT, 4 * k)
            rows = np.union1d(near(count)[0], tasty(count)[0])
            scores = self._scores(row, rows)
            if lift is not None:
                scores = scores + lift.values[rows]
            return _best(rows, scores.astype(np.float32), k)

        return rank

    def scores(self, row: int, rows: Rows) -> Floats:
        """Return how alike the games at some rows are to the one at ``row``; float32."""
        return self._scores(row, rows).astype(np.float32)

    def deviation(self, row: int) -> float:
        """Return the standard deviation of the cosines of texts with that of the game at ``row``."""
        return self._content.moments.of(self._content.vectors[row])[1]

    def _scores(self, row: int, rows: Rows) -> Doubles:
        query = self._content.vectors[row]
        mean, spread = self._taste.usual(row)
        usual, deviation = self._content.moments.of(query)
        taste = (self._taste.cosines(row, rows) - mean) / spread
        content = (self._content.cosines(query, rows) - usual) / deviation
        weight = trust(int(self._n_ratings[row])) * trust(self._n_ratings[rows]) * self._taste.has(rows)
        return weight * taste + (1 - weight) * content


def _best(rows: Rows, scores: Floats, k: int) -> Ranked:
    best = top_k(scores, k)
    return rows[best], scores[best]
