"""Where recipes are tried: trained and scored on inner hold-outs of the training part."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from recsys.models.confidence import confidence
from recsys.models.solvers import solver_of
from recsys.tuning.hold_out import InnerSplit, Scored

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import scipy.sparse as sp

    from recsys.config import CfSettings
    from recsys.models.recipe import CfRecipe
    from recsys.models.solvers import Factors

LARGE = 1_000_000
"""Ratings of the largest sample that a recipe is ever tried on."""

DRAWS = 4
"""A hold-out with fewer than ``_ENOUGH`` users to score is drawn so often at most."""

_SCORED = 5000
"""At most so many users of a draw are scored."""
_ENOUGH = 2500


@dataclass
class RecipeScorer:
    """Trains recipes and scores them; remembers scores, and the factors that it is asked to keep.

    Parameters
    ----------
    ratings
        CSR, float32, users × items: the training part, nothing else.
    settings
        ``seed`` and ``threads`` are used.
    like_threshold
        From this rating on, a held-out game is relevant.
    first_draw
        Number of the first hold-out: scorers whose numbers are :data:`DRAWS` apart have no
        draw in common.
    """

    ratings: sp.csr_matrix
    settings: CfSettings
    like_threshold: float
    first_draw: int = 0
    _splits: dict[int, list[InnerSplit]] = field(default_factory=dict)
    _factors: dict[tuple[CfRecipe, int], tuple[int, Sequence[int | Factors]]] = field(default_factory=dict)
    _scores: dict[tuple[CfRecipe, int, int], npt.NDArray[np.float64]] = field(default_factory=dict)

    def users(self, size: int) -> int:
        """Return how many users a sample of ``size`` ratings scores, over all draws."""
        return sum(len(split.users) for split in self._drawn(size))

    def people(self, size: int) -> npt.NDArray[np.int64]:
        """Return who these users are, as rows of the ratings: aligned with scores, some of them several times."""
        return np.concatenate([split.people for split in self._drawn(size)])

    def trained(self, size: int) -> int:
        """Return how many ratings a recipe trains on in a sample of ``size``, over all draws."""
        return sum(split.train.nnz for split in self._drawn(size))

    def known(self, recipe: CfRecipe, size: int, iterations: int) -> npt.NDArray[np.float64] | None:
        """Return the scores of an earlier :meth:`score`, or None."""
        return self._scores.get((recipe, self._size(size), iterations))

    def score(self, recipe: CfRecipe, size: int, iterations: int, *, keep: bool) -> npt.NDArray[np.float64]:
        """Train a recipe, from where it was kept if it was, and score it.

        Parameters
        ----------
        recipe
            Its own number of iterations is not looked at.
        size
            Ratings of the sample.
        iterations
            After which to score, counted from the first.
        keep
            Whether to keep the factors, to continue from.

        Returns
        -------
        numpy.ndarray
            float64, (users,): NDCG@10 of each user, the same users for every recipe.

        Raises
        ------
        Diverged
            If the factors became infinite.
        """
        known = self.known(recipe, size, iterations)
        if known is not None:
            return known
        splits, place = self._drawn(size), (recipe, self._size(size))
        done, starts = self._factors.pop(place, (0, [self.settings.seed] * len(splits)))
        rest, solver = replace(recipe, iterations=iterations - done), solver_of(recipe)
        results = []
        for split, start in zip(splits, starts, strict=True):
            weights = confidence(split.train, recipe.confidence, recipe.like_threshold)
            results.append(solver.fit(weights, rest, start, threads=self.settings.threads))
        scores = np.concatenate([split.score(result) for split, result in zip(splits, results, strict=True)])
        if keep:
            self._factors[place] = iterations, results
        self._scores[*place, iterations] = scores
        return scores

    def note_failure(self, recipe: CfRecipe, size: int, iterations: int) -> npt.NDArray[np.float64]:
        """Remember that a recipe diverged: it scores 0 for everybody. Return these scores."""
        scores = np.zeros(self.users(size))
        self._scores[recipe, self._size(size), iterations] = scores
        return scores

    def forget(self, but: list[CfRecipe]) -> None:
        """Drop all kept factors but those of some recipes."""
        self._factors = {place: kept for place, kept in self._factors.items() if place[0] in but}

    def clear(self) -> None:
        """Drop all kept factors and scores."""
        self._factors.clear()
        self._scores.clear()

    def _size(self, size: int) -> int:
        return min(size, max(self.ratings.nnz, 1))

    def _drawn(self, size: int) -> list[InnerSplit]:
        """Return the inner hold-outs on a sample of ``size`` ratings; several where users are few."""
        size = self._size(size)
        if size not in self._splits:
            drawn: list[InnerSplit] = []
            while len(drawn) < DRAWS and sum(len(split.users) for split in drawn) < _ENOUGH:
                seed = self.settings.seed + self.first_draw + len(drawn)
                drawn.append(
                    InnerSplit.draw(self.ratings, self.like_threshold, seed, max_ratings=size, scored=Scored(_SCORED))
                )
            self._splits[size] = drawn
        return self._splits[size]
