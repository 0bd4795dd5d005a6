"""Where recipes are tried: trained and scored on inner hold-outs of the training part."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from recsys.models.confidence import confidence
from recsys.models.solvers import solver_of
from recsys.tuning.hold_out import InnerSplit, Scored
from recsys.tuning.work import of_scores, of_sweeps

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    import numpy.typing as npt
    import scipy.sparse as sp

    from recsys.config import CfSettings
    from recsys.models.recipe import CfRecipe
    from recsys.models.solvers import Factors

RATINGS = 1_000_000
"""Ratings of the sample that recipes are tried on: all of the table, where it has no more."""

DRAWS = 4
"""Hold-outs are drawn so often at most, and while all of them together have no more ratings than the sample may."""

_ENOUGH = 10_000
"""Scored users after which no more are drawn, and the most of one draw."""
_CELLS = 125_000_000
"""Scores of users × games that all draws together may have: on wide tables fewer users are scored, but"""
_FEWEST = 3_000
"""so many."""


@dataclass
class RecipeScorer:
    """Trains recipes and scores them; remembers scores, and the factors that it is asked to keep.

    Parameters
    ----------
    ratings
        CSR, float32, users × games: the training part, nothing else.
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
    _factors: dict[CfRecipe, tuple[int, Sequence[int | Factors]]] = field(default_factory=dict)
    _scores: dict[tuple[CfRecipe, int], npt.NDArray[np.float64]] = field(default_factory=dict)

    @cached_property
    def splits(self) -> list[InnerSplit]:
        """The inner hold-outs: several where users are few, so that chance decides less."""
        most = min(_ENOUGH, max(_FEWEST, _CELLS // max(self.ratings.shape[1], 1)))
        size = min(RATINGS, max(self.ratings.nnz, 1))
        drawn: list[InnerSplit] = []
        while len(drawn) < DRAWS and sum(len(split.users) for split in drawn) < most:
            if drawn and (len(drawn) + 1) * size > RATINGS:
                break
            seed = self.settings.seed + self.first_draw + len(drawn)
            drawn.append(
                InnerSplit.draw(self.ratings, self.like_threshold, seed, max_ratings=size, scored=Scored(most))
            )
        return drawn

    @property
    def users(self) -> int:
        """How many users are scored, over all draws."""
        return sum(len(split.users) for split in self.splits)

    @cached_property
    def people(self) -> npt.NDArray[np.int64]:
        """Who these users are, as rows of the ratings: aligned with scores, some of them several times."""
        return np.concatenate([split.people for split in self.splits])

    @property
    def trained(self) -> int:
        """How many ratings a recipe trains on, over all draws."""
        return sum(split.train.nnz for split in self.splits)

    @property
    def ratings_differ(self) -> bool:
        """Whether there is more than one value: else all ways to read them are one."""
        return bool(len(self.ratings.data)) and bool(self.ratings.data.min() != self.ratings.data.max())

    def known(self, recipe: CfRecipe, iterations: int) -> npt.NDArray[np.float64] | None:
        """Return the scores of an earlier :meth:`score`, or None."""
        return self._scores.get((recipe, iterations))

    def work(self, recipe: CfRecipe, iterations: int) -> float:
        """Return what a :meth:`score` will cost; see :mod:`recsys.tuning.work`."""
        if self.known(recipe, iterations) is not None:
            return 0.0
        done, _ = self._kept(recipe, iterations)
        training = sum(of_sweeps(split.train, recipe.factors, iterations - done) for split in self.splits)
        return training + of_scores(self.users, self.ratings.shape[1], recipe.factors)

    def score(
        self, recipe: CfRecipe, iterations: int, *, keep: bool, watch: Callable[[], None] = lambda: None
    ) -> npt.NDArray[np.float64]:
        """Train a recipe, from where it was kept if it was, and score it.

        Parameters
        ----------
        recipe
            Its own number of iterations is not looked at.
        iterations
            After which to score, counted from the first.
        keep
            Whether to keep the factors, to continue from.
        watch
            Called after each iteration; what it raises ends the training.

        Returns
        -------
        numpy.ndarray
            float64, (users,): NDCG@10 of each user, the same users for every recipe.

        Raises
        ------
        Diverged
            If the factors became infinite.
        """
        known = self.known(recipe, iterations)
        if known is not None:
            return known
        done, starts = self._kept(recipe, iterations)
        self._factors.pop(recipe, None)
        rest, solver, threads = replace(recipe, iterations=iterations - done), solver_of(recipe), self.settings.threads
        results = []
        for split, start in zip(self.splits, starts, strict=True):
            weights = confidence(split.train, recipe.confidence, recipe.like_threshold)
            results.append(solver.fit(weights, rest, start, threads=threads, watch=lambda *_: watch()))
        scores = np.concatenate([split.score(result) for split, result in zip(self.splits, results, strict=True)])
        if keep:
            self._factors[recipe] = iterations, results
        self._scores[recipe, iterations] = scores
        return scores

    def note_failure(self, recipe: CfRecipe, iterations: int) -> npt.NDArray[np.float64]:
        """Remember that a recipe diverged: it scores 0 for everybody. Return these scores."""
        scores = np.zeros(self.users)
        self._scores[recipe, iterations] = scores
        return scores

    def forget(self, but: Collection[CfRecipe] = ()) -> None:
        """Drop all kept factors but those of some recipes."""
        self._factors = {recipe: kept for recipe, kept in self._factors.items() if recipe in but}

    def clear(self) -> None:
        """Drop all kept factors and scores."""
        self._factors.clear()
        self._scores.clear()

    def _kept(self, recipe: CfRecipe, iterations: int) -> tuple[int, Sequence[int | Factors]]:
        """Return how many iterations of a recipe are done, and what it goes on from in each split."""
        done, starts = self._factors.get(recipe, (0, ()))
        return (done, starts) if 0 < done <= iterations else (0, [self.settings.seed] * len(self.splits))
