"""The search for what is added to the factors: fading, the trend, and the item-item half.

It begins with the recipe that the search for factors chose, and tries on an inner hold-out: cut in time where ratings
are dated, as the gate's hold-out is, drawn at random otherwise. Then:

1. ``half-life`` (dated): confidences that halve in 24 months, 12 or 60, and on from the better one; each with the
   best trend beside it.
2. ``trend`` (dated): its half-life and weight; on from the best where that lies at an edge.
3. ``items``: the item-item half, for both exponents and some regularizations, on from the best at an edge; with each
   of them all weights.

What is added must be better than the factors alone by one standard error, or it stays out (as in
:mod:`recsys.tuning.stages`): on several times the people that it was chosen on, since the few whom every trial scores
cannot tell a gain of a few percent from chance. A stage that is left
out, since its settings are given or the budget is spent, keeps what the recipe has.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from recsys.errors import Diverged
from recsys.evaluation.bootstrap import surely_better
from recsys.marts import column_sums
from recsys.models.fading import fading
from recsys.system.log import events, keys
from recsys.tuning.drawn import NEIGHBOURS, Drawn
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
from recsys.tuning.work import BudgetSpent, of_item_item

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from recsys.config import CfSettings
    from recsys.marts.ratings import Ratings
    from recsys.models.recipe import CfRecipe
    from recsys.tuning.work import Budget

    Doubles = npt.NDArray[np.float64]

log = events(__name__)

RATINGS = 1_000_000
"""Ratings of the sample that recipes are tried on."""
PEOPLE = 4_000
"""At most so many users are scored by each trial."""
_SURE = 4
"""Times as many decide whether what was found is better."""
_SHARE = 0.5
"""Of the users, at most so many lose ratings to a random hold-out."""
LATELY = (2.0, 3.0, 6.0, 12.0)
"""Half-lives, in months, among which that of the popular list of late is found."""
_DRAW = 101
"""Of the hold-out, away from those of the search for factors."""
_DRAWS = 3
"""Random hold-outs are drawn so often at most, until enough people were drawn, and while all of them together have no
more ratings than the sample may: on small tables chance decides less."""
_DEAR = 5e9
"""Nor more often than so much work allows for one item-item half of each."""
_CELLS = 24_000_000
"""Scores of users × games that all weights are tried on at once: beyond, fewer users are scored."""


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
    budget
        What it may spend.
    progress
        Called after each trial.

    Attributes
    ----------
    trials
        In the order in which they ran.
    complete
        False where the budget was spent first.
    """

    ratings: Ratings
    start: CfRecipe
    free: frozenset[str]
    settings: CfSettings
    budget: Budget
    progress: Callable[[SearchTrial], None] = lambda _: None
    trials: list[SearchTrial] = field(default_factory=list)
    complete: bool = True

    def __post_init__(self) -> None:
        self.began = self.budget.clock()
        self._scores: dict[CfRecipe, Doubles] = {}
        people = max(200, min(PEOPLE, _CELLS // max(len(self.ratings.items), 1)))
        many, threshold, seed = _SURE * people, self.start.like_threshold, self.settings.seed + _DRAW
        self.is_dated = self.ratings.rated_at is not None
        if self.is_dated:
            whole = [InnerSplit.after_a_cut(self.ratings, threshold, seed, max_ratings=RATINGS, max_users=many)]
        else:
            size, scored = min(RATINGS, max(self.ratings.matrix.nnz, 1)), Scored(many, _SHARE)
            whole = [InnerSplit.draw(self.ratings.matrix, threshold, seed, max_ratings=size, scored=scored)]
            cost = of_item_item(whole[0].train, NEIGHBOURS)
            most = min(_DRAWS, RATINGS // size, int(_DEAR // max(cost, 1)))
            while len(whole) < most and sum(len(split.users) for split in whole) < many:
                number = seed + len(whole)
                whole.append(InnerSplit.draw(self.ratings.matrix, threshold, number, max_ratings=size, scored=scored))
        each = max(people // len(whole), 1)
        self.draws = [Drawn(split, split.some(each, seed), self.settings) for split in whole]

    @property
    def users(self) -> int:
        """How many users each trial scores, over all draws."""
        return sum(len(drawn.split.users) for drawn in self.draws)

    @property
    def seconds(self) -> float:
        """How long ago it began."""
        return self.budget.clock() - self.began

    def search(self) -> CfRecipe:
        """Return the recipe with what is added, or as it was."""
        if not self.users:
            return self.start
        best: tuple[Doubles, CfRecipe] | None = None
        try:
            best = self._best = alone = self._scored(self.start)
            if self.is_dated:
                best = self._faded(best)
            best = self._beside(best)
        except BudgetSpent:
            self.complete = False
            if best is None:
                return self.start
            best = self._best
            log.info("the budget is spent: what is added to the factors is the best so far")
        scores, recipe = best
        if recipe == self.start or not self._is_better(recipe):
            return self.start
        log.info(
            "searched what is added to the factors",
            extra=keys(
                alone=float(alone[0].mean()), best=float(scores.mean()), half_life=recipe.half_life, trend=recipe.trend,
                trend_half_life=recipe.trend_half_life, item_weight=recipe.item_weight,
                item_exponent=recipe.item_exponent, item_regularization=recipe.item_regularization,
            ),
        )  # fmt: skip
        return recipe

    def _is_better(self, recipe: CfRecipe) -> bool:
        """Decide on all who lost ratings; on those whom trials scored, where the budget has no more."""
        try:
            self.budget.spend(sum(drawn.work(recipe, everybody=True) for drawn in self.draws))
        except BudgetSpent:
            self.complete = False
            added, alone = (self._scores[each] for each in (recipe, self.start))
            people = [drawn.split.people for drawn in self.draws]
            return surely_better(added, alone, np.concatenate(people), errors=1)
        added, alone = (
            np.concatenate([drawn.ndcg_of_everybody(each) for drawn in self.draws]) for each in (recipe, self.start)
        )
        people = [drawn.everybody.people for drawn in self.draws]
        return surely_better(added, alone, np.concatenate(people), errors=1)

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
            untried = [other for other in others if other not in {trial.recipe.half_life for trial in self.trials}]
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
            for drawn in self.draws:
                drawn.forget_items()

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
        return self._best_trend(best) if self.is_dated and best[1].item_weight else best

    def _better(self, one: tuple[Doubles, CfRecipe], other: tuple[Doubles, CfRecipe]) -> tuple[Doubles, CfRecipe]:
        better = other if other[0].mean() > one[0].mean() else one
        if better[0].mean() > self._best[0].mean():
            self._best = better
        return better

    def _scored(self, recipe: CfRecipe) -> tuple[Doubles, CfRecipe]:
        """Return NDCG@10 of each scored user, and the recipe."""
        self.budget.spend(sum(drawn.work(recipe) for drawn in self.draws))
        began = self.budget.clock()
        try:
            scores = np.concatenate([drawn.ndcg(recipe, self.budget.look) for drawn in self.draws])
        except Diverged as error:
            log.warning("a trial diverged", extra=keys(trial=len(self.trials) + 1, stage=_stage(recipe), reason=error))
            scores = np.zeros(self.users)
        trained, seconds = sum(drawn.split.train.nnz for drawn in self.draws), self.budget.clock() - began
        trial = SearchTrial(_stage(recipe), recipe, recipe.iterations, trained, float(scores.mean()), seconds)
        self.trials.append(trial)
        self._scores[recipe] = scores
        self.progress(trial)
        return scores, recipe


def _stage(recipe: CfRecipe) -> str:
    if recipe.item_weight:
        return "items"
    return "trend" if recipe.trend else "half-life" if recipe.half_life else "alone"


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
