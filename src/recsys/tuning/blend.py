"""The search for what is added to the factors: fading, the trend, and the item-item half.

It begins with the recipe that the search for factors chose, and tries on an inner hold-out: cut in time where ratings
are dated, as the gate's hold-out is, drawn at random otherwise. Then:

1. ``half-life`` (dated): confidences that halve in 24 months, 12 or 60, and on from the better one; each with the
   best trend beside it.
2. ``trend`` (dated): its half-life and weight; on from the best where that lies at an edge.
3. ``items``: the item-item half, for both exponents and some regularizations, on from the best at an edge; with each
   of them all weights.

What is added must be surely better than the factors alone, or it stays out: on several times the people that it was
chosen on, since the few whom every trial scores cannot tell a gain of a few percent from chance. A stage that is left
out, since its settings are given or the time is up, keeps what the recipe has.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from recsys.errors import Diverged
from recsys.evaluation.bootstrap import surely_better
from recsys.marts import column_sums
from recsys.models.confidence import confidence
from recsys.models.fading import dated, fading, left_by_time, trend
from recsys.models.item_item import fit_item_item
from recsys.models.solvers import solver_of
from recsys.models.taste import active_of, standard
from recsys.system.log import events, keys
from recsys.tuning.hold_out import InnerSplit, Scored
from recsys.tuning.outcome import SearchTrial
from recsys.tuning.space import (
    HALF_LIVES,
    ITEM_EXPONENTS,
    ITEM_REGULARIZATIONS,
    ITEM_WEIGHTS,
    TREND_HALF_LIVES,
    TRENDS,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt
    import scipy.sparse as sp

    from recsys.config import CfSettings
    from recsys.marts.ratings import Ratings
    from recsys.models.recipe import CfRecipe
    from recsys.models.solvers import Factors

    Floats = npt.NDArray[np.float32]
    Doubles = npt.NDArray[np.float64]

log = events(__name__)

RATINGS = 1_000_000
"""Ratings of the sample that recipes are tried on."""
PEOPLE = 4_000
"""At most so many users are scored by each trial."""
_SURE = 4
"""Times as many decide whether what was found is surely better."""
_SHARE = 0.5
"""Of the users, at most so many lose ratings to a random hold-out."""
LATELY = (2.0, 3.0, 6.0, 12.0)
"""Half-lives, in months, among which that of the popular list of late is found."""
_DRAW = 101
"""Of the hold-out, away from those of the search for factors."""
_CELLS = 24_000_000
"""Scores of users × games that all weights are tried on at once: beyond, fewer users are scored."""
_NEIGHBOURS = 100
"""Of a game, while weights are tried: half of what training takes, at an eighth of the time."""


@dataclass
class BlendSearch:
    """Tries what may be added to the factors' scores.

    Parameters
    ----------
    ratings
        The training part, nothing else.
    start
        The recipe of the factors, with what is given of the rest.
    free
        Names of the settings of :data:`recsys.models.recipe.BLENDED` that are searched.
    settings
        Section ``cf``: ``seed`` and ``threads`` are used.
    seconds
        The search ends after so long.
    clock
        Seconds.
    progress
        Called after each trial.

    Attributes
    ----------
    trials
        In the order in which they ran.
    complete
        False where the time was up first.
    """

    ratings: Ratings
    start: CfRecipe
    free: frozenset[str]
    settings: CfSettings
    seconds: float
    clock: Callable[[], float] = time.monotonic
    progress: Callable[[SearchTrial], None] = lambda _: None
    trials: list[SearchTrial] = field(default_factory=list)
    complete: bool = True

    def __post_init__(self) -> None:
        self.began = self.clock()
        people = max(200, min(PEOPLE, _CELLS // max(len(self.ratings.items), 1)))
        threshold, seed = self.start.like_threshold, self.settings.seed + _DRAW
        many = _SURE * people
        self.everybody = (
            InnerSplit.draw(self.ratings.matrix, threshold, seed, max_ratings=RATINGS, scored=Scored(many, _SHARE))
            if self.ratings.rated_at is None
            else InnerSplit.after_a_cut(self.ratings, threshold, seed, max_ratings=RATINGS, max_users=many)
        )
        self.split = self.everybody.some(people, seed)
        self._factors: dict[float, tuple[sp.csr_matrix, Factors, Floats]] = {}

    def search(self) -> CfRecipe:
        """Return the recipe with what is added, or as it was."""
        if not len(self.split.users):
            return self.start
        alone = self._tried("alone", self.start)
        self._best = best = (alone, self.start)
        try:
            if self.split.rated_at is not None:
                best = self._faded(best)
            best = self._beside(best)
        except TimeIsUp:
            self.complete, best = False, self._best
            log.info("the time is up: what is added to the factors is the best so far")
        scores, recipe = best
        if recipe == self.start or not self._is_surely_better(recipe):
            return self.start
        log.info(
            "searched what is added to the factors",
            extra=keys(
                alone=float(alone.mean()), best=float(scores.mean()), half_life=recipe.half_life, trend=recipe.trend,
                trend_half_life=recipe.trend_half_life, item_weight=recipe.item_weight,
                item_exponent=recipe.item_exponent, item_regularization=recipe.item_regularization,
            ),
        )  # fmt: skip
        return recipe

    def _is_surely_better(self, recipe: CfRecipe) -> bool:
        alone, added = (self._of_everybody(each) for each in (self.start, recipe))
        return surely_better(added, alone, self.everybody.people)

    def _of_everybody(self, recipe: CfRecipe) -> Doubles:
        """Return NDCG@10 of everybody who lost ratings, block by block: all of their scores take too much memory."""
        users, found = self.everybody.users, None
        weights, factors, _ = self._trained(recipe)
        active = active_of(factors.items)
        if recipe.item_weight:
            found = self._items(weights, recipe)

        def scores(block: slice) -> Floats:
            standing = standard(factors.users[users[block]] @ factors.items.T, active)
            said = None if found is None else standard((weights[users[block]] @ found).toarray(), active)
            return self._mixed(recipe, standing, said, active)

        return self.everybody.judged(scores)

    def _faded(self, best: tuple[Doubles, CfRecipe]) -> tuple[Doubles, CfRecipe]:
        """Find half-life and trend together: a recipe that fades is judged with its best trend."""
        if "half_life" not in self.free:
            return self._best_trend(best)
        best = self._best_trend(best)
        order = (24.0, 12.0, 60.0)
        for half_life in order:
            best = self._better(best, self._best_trend(self._scored(replace(best[1], half_life=half_life))))
        while best[1].half_life in HALF_LIVES:
            at = HALF_LIVES.index(best[1].half_life)
            others = [HALF_LIVES[i] for i in (at - 1, at + 1) if 0 <= i < len(HALF_LIVES)]
            untried = [other for other in others if other not in self._factors]
            if not untried:
                break
            for half_life in untried:
                best = self._better(best, self._best_trend(self._scored(replace(best[1], half_life=half_life))))
        return best

    def _best_trend(self, best: tuple[Doubles, CfRecipe]) -> tuple[Doubles, CfRecipe]:
        if not {"trend", "trend_half_life"} <= self.free:
            return best
        recipes = [
            replace(best[1], trend=weight, trend_half_life=half_life)
            for half_life in TREND_HALF_LIVES
            for weight in TRENDS
        ]
        for recipe in recipes:
            best = self._better(best, self._scored(recipe))
        for _ in range(3):  # on from an edge
            if best[1].trend != max(TRENDS) and best[1].trend <= max(TRENDS):
                break
            longer = self._scored(replace(best[1], trend=round(best[1].trend * 1.4, 2)))
            if longer[0].mean() <= best[0].mean():
                break
            best = self._better(best, longer)
        return best

    def _beside(self, best: tuple[Doubles, CfRecipe]) -> tuple[Doubles, CfRecipe]:
        """Find the item-item half."""
        names = {"item_weight", "item_exponent", "item_regularization"}
        if not names <= self.free:
            return best
        tried: set[tuple[float, float]] = set()

        def attempt(exponent: float, regularization: float) -> None:
            nonlocal best
            if (exponent, regularization) in tried:
                return
            tried.add((exponent, regularization))
            recipe = replace(best[1], item_exponent=exponent, item_regularization=regularization)
            for weight in ITEM_WEIGHTS:
                best = self._better(best, self._scored(replace(recipe, item_weight=weight)))
            self._said.clear()

        for regularization in ITEM_REGULARIZATIONS:
            attempt(ITEM_EXPONENTS[0], regularization)
        if best[1].item_weight:
            attempt(ITEM_EXPONENTS[1], best[1].item_regularization)
        for _ in range(3):
            exponent, regularization = best[1].item_exponent, best[1].item_regularization
            before = len(tried)
            attempt(exponent, round(regularization * 3, 3))
            attempt(exponent, round(regularization / 3, 3))
            if len(tried) == before or best[1].item_regularization == regularization:
                break
        return self._best_trend(best) if self.split.rated_at is not None and best[1].item_weight else best

    def _better(self, one: tuple[Doubles, CfRecipe], other: tuple[Doubles, CfRecipe]) -> tuple[Doubles, CfRecipe]:
        better = other if other[0].mean() > one[0].mean() else one
        if better[0].mean() > self._best[0].mean():
            self._best = better
        return better

    def _scored(self, recipe: CfRecipe) -> tuple[Doubles, CfRecipe]:
        if self.clock() - self.began > self.seconds:
            raise TimeIsUp
        stage = "items" if recipe.item_weight else "trend" if recipe.trend else "half-life"
        return self._tried(stage, recipe), recipe

    def _tried(self, stage: str, recipe: CfRecipe) -> Doubles:
        """Return NDCG@10 of each scored user."""
        began = self.clock()
        try:
            scores = self._ndcg(recipe)
        except Diverged as error:
            log.warning("a trial diverged", extra=keys(trial=len(self.trials) + 1, stage=stage, reason=error))
            scores = np.zeros(len(self.split.users))
        trained = int(self.split.train.nnz)
        trial = SearchTrial(stage, recipe, recipe.iterations, trained, float(scores.mean()), self.clock() - began)
        self.trials.append(trial)
        self.progress(trial)
        return scores

    def _ndcg(self, recipe: CfRecipe) -> Doubles:
        weights, factors, standing = self._trained(recipe)
        said = self._said_by_others(weights, recipe) if recipe.item_weight else None
        scores = self._mixed(recipe, standing, said, active_of(factors.items))
        return self.split.judged(lambda block: scores[block].copy())

    def _mixed(self, recipe: CfRecipe, standing: Floats, said: Floats | None, active: npt.NDArray[np.bool_]) -> Floats:
        """Return the scores of some users: what their factors and what others say, both standardised, and the trend."""
        scores = standing
        if said is not None:
            scores = np.float32(1 - recipe.item_weight) * standing + np.float32(recipe.item_weight) * said
        if recipe.trend:
            scores = scores + np.float32(recipe.trend) * self._trend(recipe.trend_half_life)
        # As in the lists that are served: no game without a rating that counts.
        return np.where(active, scores, np.float32(-np.inf))

    def _trained(self, recipe: CfRecipe) -> tuple[sp.csr_matrix, Factors, Floats]:
        """Return confidences, factors and standard scores of the factors alone, by half-life."""
        if recipe.half_life not in self._factors:
            split = self.split
            left = left_by_time(split.rated_at, recipe) if recipe.half_life else None
            weights = confidence(split.train, recipe.confidence, recipe.like_threshold, left)
            factors = solver_of(recipe).fit(weights, recipe, self.settings.seed, threads=self.settings.threads)
            scores = factors.users[split.users] @ factors.items.T
            self._factors[recipe.half_life] = weights, factors, standard(scores, active_of(factors.items))
        return self._factors[recipe.half_life]

    def _items(self, weights: sp.csr_matrix, recipe: CfRecipe) -> sp.csr_matrix:
        """Return the item-item half of the split's training part."""
        return fit_item_item(
            weights,
            recipe.item_exponent,
            recipe.item_regularization,
            threads=self.settings.threads,
            neighbours=_NEIGHBOURS,
        )

    def _said_by_others(self, weights: sp.csr_matrix, recipe: CfRecipe) -> Floats:
        place = recipe.half_life, recipe.item_exponent, recipe.item_regularization
        if place not in self._said:
            said = (weights[self.split.users] @ self._items(weights, recipe)).toarray()
            self._said[place] = standard(said, active_of(self._trained(recipe)[1].items))
        return self._said[place]

    def _trend(self, half_life: float) -> Floats:
        rated_at = dated(self.split.rated_at, "trend", self.start.trend)
        return trend(self.split.train.indices, rated_at, self.split.train.shape[1], half_life)

    _said: dict[tuple[float, float, float], Floats] = field(default_factory=dict)


class TimeIsUp(Exception):
    """The time is up: a search ends with the trials that it has."""


def lately_half_life(ratings: Ratings, like_threshold: float, seed: int, half_lives: Sequence[float] = LATELY) -> float:
    """Return the half-life, in months, with which what was popular lately foretells best what is liked next.

    Parameters
    ----------
    ratings
        The training part, dated.
    like_threshold
        From this rating on, a game is liked.
    seed
        Seed of the sample of users.
    half_lives
        Months to choose from.
    """
    assert ratings.rated_at is not None
    split = InnerSplit.after_a_cut(ratings, like_threshold, seed, max_ratings=RATINGS, max_users=PEOPLE)
    if not len(split.users) or split.rated_at is None:
        return half_lives[0]
    rated_at, games = split.rated_at, split.train.shape[1]

    def score(half_life: float) -> float:
        faded = column_sums(split.train.indices, fading(rated_at, half_life), games).astype(np.float32)
        return float(split.judged(lambda block: np.tile(faded, (len(split.users[block]), 1))).mean())

    return max(half_lives, key=score)
