"""One inner hold-out on which recipes with something added to their factors are tried."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from recsys.models.confidence import confidence
from recsys.models.fading import dated, left_by_time, trend
from recsys.models.item_item import fit_item_item
from recsys.models.solvers import Factors, solver_of
from recsys.models.taste import active_of, standard
from recsys.tuning.work import of_item_item, of_scores, of_sweeps

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    import scipy.sparse as sp

    from recsys.config import CfSettings
    from recsys.models.recipe import CfRecipe
    from recsys.tuning.hold_out import InnerSplit

    Floats = npt.NDArray[np.float32]
    Doubles = npt.NDArray[np.float64]

NEIGHBOURS = 100
"""Of a game, while weights are tried: half of what training takes, at an eighth of the time."""


class _Trained(NamedTuple):
    weights: sp.csr_matrix
    factors: Factors
    active: npt.NDArray[np.bool_]
    """bool, (games,): games with a rating that counts."""
    standing: Floats
    """float32, (scored, games): standard scores of the factors alone, of those whom trials score."""


@dataclass
class Drawn:
    """An inner hold-out, and what was trained on the rest of it.

    Parameters
    ----------
    everybody
        The hold-out with all who lost ratings: they decide.
    split
        The same with fewer of them: they are scored by each trial.
    settings
        Section ``cf``: ``seed`` and ``threads`` are used.
    """

    everybody: InnerSplit
    split: InnerSplit
    settings: CfSettings
    _trained: dict[float, _Trained] = field(default_factory=dict)
    _items: dict[tuple[float, float, float], sp.csr_matrix] = field(default_factory=dict)
    _said: dict[tuple[float, float, float], Floats] = field(default_factory=dict)

    def work(self, recipe: CfRecipe, *, everybody: bool = False) -> float:
        """Return what :meth:`ndcg` will cost, or :meth:`ndcg_of_everybody`; see :mod:`recsys.tuning.work`."""
        table, users = self.split.train, len((self.everybody if everybody else self.split).users)
        work = of_scores(users, table.shape[1], recipe.factors if everybody else 0)
        if recipe.half_life not in self._trained:
            work += of_sweeps(table, recipe.factors, recipe.iterations)
        if recipe.item_weight and _said_by(recipe) not in self._items:
            work += of_item_item(table, NEIGHBOURS)
        return work

    def ndcg(self, recipe: CfRecipe, watch: Callable[[], None]) -> Doubles:
        """Return NDCG@10 of each scored user.

        Parameters
        ----------
        recipe
            What to try; the factors are trained once for each half-life.
        watch
            Called after each iteration; what it raises ends the training.
        """
        trained = self.trained(recipe, watch)
        said = self._said_to(recipe, trained) if recipe.item_weight else None
        scores = self._mixed(recipe, trained, trained.standing, said)
        return self.split.judged(lambda block: scores[block].copy())

    def ndcg_of_everybody(self, recipe: CfRecipe) -> Doubles:
        """Return that of everybody who lost ratings, block by block: all of their scores take too much memory."""
        users, trained = self.everybody.users, self.trained(recipe)
        found = self._found(recipe, trained.weights) if recipe.item_weight else None

        def scores(block: slice) -> Floats:
            factors, active, some = trained.factors, trained.active, users[block]
            standing = standard(factors.users[some] @ factors.items.T, active)
            said = None if found is None else standard((trained.weights[some] @ found).toarray(), active)
            return self._mixed(recipe, trained, standing, said)

        return self.everybody.judged(scores)

    def forget_items(self) -> None:
        """Drop the item-item halves."""
        self._items.clear()
        self._said.clear()

    def trained(self, recipe: CfRecipe, watch: Callable[[], None] = lambda: None) -> _Trained:
        """Return what was trained with the half-life of a recipe."""
        if recipe.half_life not in self._trained:
            split = self.split
            left = left_by_time(split.rated_at, recipe) if recipe.half_life else None
            weights = confidence(split.train, recipe.confidence, recipe.like_threshold, left)
            factors = solver_of(recipe).fit(
                weights, recipe, self.settings.seed, threads=self.settings.threads, watch=lambda *_: watch()
            )
            active = active_of(factors.items)
            standing = standard(factors.users[split.users] @ factors.items.T, active)
            self._trained[recipe.half_life] = _Trained(weights, factors, active, standing)
        return self._trained[recipe.half_life]

    def _mixed(self, recipe: CfRecipe, trained: _Trained, standing: Floats, said: Floats | None) -> Floats:
        """Return the scores of some users: what their factors and what others say, both standardised, and the trend."""
        scores = standing
        if said is not None:
            scores = np.float32(1 - recipe.item_weight) * standing + np.float32(recipe.item_weight) * said
        if recipe.trend:
            rated_at = dated(self.split.rated_at, "trend", recipe.trend)
            games = self.split.train.shape[1]
            added = trend(self.split.train.indices, rated_at, games, recipe.trend_half_life)
            scores = scores + np.float32(recipe.trend) * added
        # As in the lists that are served: no game without a rating that counts.
        return np.where(trained.active, scores, np.float32(-np.inf))

    def _found(self, recipe: CfRecipe, weights: sp.csr_matrix) -> sp.csr_matrix:
        """Return the item-item half of the training part."""
        if _said_by(recipe) not in self._items:
            exponent, regularization, threads = recipe.item_exponent, recipe.item_regularization, self.settings.threads
            found = fit_item_item(weights, exponent, regularization, threads=threads, neighbours=NEIGHBOURS)
            self._items[_said_by(recipe)] = found
        return self._items[_said_by(recipe)]

    def _said_to(self, recipe: CfRecipe, trained: _Trained) -> Floats:
        if _said_by(recipe) not in self._said:
            said = (trained.weights[self.split.users] @ self._found(recipe, trained.weights)).toarray()
            self._said[_said_by(recipe)] = standard(said, trained.active)
        return self._said[_said_by(recipe)]


def _said_by(recipe: CfRecipe) -> tuple[float, float, float]:
    return recipe.half_life, recipe.item_exponent, recipe.item_regularization
