"""What a list is ranked by: the factors, what rated games say for others, and what is rated lately.

For a user with factors x and confidences c, the score of game j is::

    (1 - w) · z(x·y_j) + w · z(Σ_i c_i B_ij) + β · trend_j

z standardises over the games with a rating that counts, for this user. With w = 0 and β = 0 it is x·y_j as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from recsys.ranking.moments import Moments
from recsys.ranking.scorer import scores_for

if TYPE_CHECKING:
    import numpy.typing as npt
    import scipy.sparse as sp

    from recsys.models.item_item import ItemItem
    from recsys.models.recipe import CfRecipe

    Floats = npt.NDArray[np.float32]
    Doubles = npt.NDArray[np.float64]

_LEAST = 1e-9
"""Below this spread, scores are all alike."""


class Line(NamedTuple):
    """How the score of somebody follows from the inner product s of the factors: ``scale · s + added``.

    Attributes
    ----------
    scale
        Not negative.
    added
        float64, (items,); None for nothing.
    """

    scale: float
    added: Doubles | None = None

    def of(self, products: Floats, items: npt.NDArray[np.integer] | slice) -> Floats:
        """Return the scores of some items from their inner products; float32."""
        if self.added is None:
            return products
        return (self.scale * products.astype(np.float64) + self.added[items]).astype(np.float32)


class Beside(NamedTuple):
    """What is added to what somebody's factors say.

    Attributes
    ----------
    added
        float64, (items,).
    per_word
        What a unit of what rated games say adds to a score.
    """

    added: Doubles
    per_word: float


UNLISTED = np.float32(-1e9)
"""Score of a game that has none; finite, and below all others."""


class Blending:
    """Puts the parts of a score together; needs numpy alone.

    Parameters
    ----------
    item_factors
        float32, (items, factors).
    item_item
        The other parts; None where factors rank alone.
    item_weight
        w.
    """

    def __init__(self, item_factors: Floats, item_item: ItemItem | None, item_weight: float) -> None:
        self.item_item, self.item_weight = item_item, item_weight
        self._item_factors = item_factors

    @cached_property
    def active(self) -> npt.NDArray[np.bool_]:
        """bool, (items,): games with a rating that counts."""
        return active_of(self._item_factors)

    @cached_property
    def _moments(self) -> Moments:
        return Moments(self._item_factors[self.active])

    @cached_property
    def _active_items(self) -> npt.NDArray[np.intp] | None:
        """The places of the active games; None where all are."""
        return None if self.active.all() else np.flatnonzero(self.active)

    @cached_property
    def _trend(self) -> Doubles:
        assert self.item_item is not None
        return self.item_item.trend.astype(np.float64)

    def compiled(self) -> Blending:
        """Return one that adds up the same, to the bit, and faster; it needs numba."""
        return Blending(self._item_factors, self.item_item and self.item_item.compiled(), self.item_weight)

    def line(self, factors: Floats, items: npt.NDArray[np.integer], confidence: Floats) -> Line:
        """Return how somebody's scores follow from inner products; see :meth:`beside` and :meth:`line_of`."""
        return self.line_of(factors, self.beside(items, confidence))

    def beside(
        self,
        items: npt.NDArray[np.integer],
        confidence: Floats,
        usual: float = 0.0,
        preference: Floats | None = None,
    ) -> Beside | None:
        """Return what is added to what somebody's factors say; None where factors rank alone.

        Parameters
        ----------
        items, confidence
            (n,), float32 (n,): the games that they rated, and how sure each rating is; only positive ones count.
        usual
            Share of the mean user that is added to what their games say.
        preference
            float32, (n,): 1 for a game that speaks for others, -1 for one that speaks against them; 1 for each when not
            given.
        """
        if self.item_item is None:
            return None
        if not self.item_weight:
            return Beside(self._trend, 0.0)
        counts = confidence > 0
        words = confidence if preference is None else confidence * preference
        said = self.item_item.matrix.summed(items[counts], words[counts])
        if usual:
            said += usual * self.item_item.usual
        part = said if self._active_items is None else said[self._active_items]
        per_word = self.item_weight / max(float(part.std()), _LEAST)
        said -= part.mean()
        said *= per_word
        said += self._trend
        return Beside(said, per_word)

    def line_of(self, factors: Floats, beside: Beside | None) -> Line:
        """Return how scores follow from inner products with somebody's factors, float32 (factors,)."""
        if beside is None:
            return Line(1.0)
        mean, spread = self._moments.of(factors)
        scale = (1 - self.item_weight) / max(spread, _LEAST)
        return Line(scale, beside.added - scale * mean)


@dataclass(frozen=True, eq=False)
class Taste:
    """Scores of all games for users who were trained on.

    Attributes
    ----------
    user_factors, item_factors
        float32, (users, factors) and (items, factors).
    confidence
        CSR, float32, (users, items): as trained.
    blending
        What is added to the inner products.
    """

    user_factors: Floats
    item_factors: Floats
    confidence: sp.csr_matrix
    blending: Blending

    @classmethod
    def of(
        cls,
        user_factors: Floats,
        item_factors: Floats,
        confidence: sp.csr_matrix,
        item_item: ItemItem | None,
        recipe: CfRecipe,
    ) -> Self:
        """Put the parts of a model together."""
        return cls(user_factors, item_factors, confidence, Blending(item_factors, item_item, recipe.item_weight))

    def scores(self, users: npt.NDArray[np.integer]) -> Floats:
        """Return the scores of all games for some users, quickly; float32, (n, items), finite.

        By the factors that training left, to score many at once; lists are made of :meth:`settled`.
        """
        products: Floats = self.user_factors[users] @ self.item_factors.T
        if self.blending.item_item is not None:
            for row, user in enumerate(users):
                products[row] = self._line(user, self.user_factors[user]).of(products[row], slice(None))
        return self._listed(products)

    def settled(self, user: int, factors: Floats) -> Floats:
        """Return the scores of all games for one user with these factors, as they are served; float32, (items,)."""
        line = self._line(user, factors)
        return self._listed(line.of(scores_for(factors, self.item_factors), slice(None)))

    def _listed(self, scores: Floats) -> Floats:
        """Put games without a rating that counts below all others: no list that is served holds them."""
        if self.blending.item_item is not None and not self.blending.active.all():
            scores[..., ~self.blending.active] = UNLISTED
        return scores

    def _line(self, user: int, factors: Floats) -> Line:
        rated = slice(self.confidence.indptr[user], self.confidence.indptr[user + 1])
        items, confidence = self.confidence.indices[rated], self.confidence.data[rated]
        return self.blending.line(factors, items, confidence)


def active_of(item_factors: Floats) -> npt.NDArray[np.bool_]:
    """Return which games have a rating that counts; bool, (items,)."""
    return np.asarray(item_factors.any(axis=1))


def standard(scores: Floats, active: npt.NDArray[np.bool_]) -> Floats:
    """Return scores less their mean and divided by their spread over the active games, row by row; float32."""
    part = scores if active.all() else scores[:, active]
    mean = part.mean(axis=1, keepdims=True, dtype=np.float64)
    spread = np.maximum(part.std(axis=1, keepdims=True, dtype=np.float64), _LEAST)
    standing: Floats = ((scores - mean) / spread).astype(np.float32)
    return standing
