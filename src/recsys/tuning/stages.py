"""The stages of the search for factors, and the one rule by which what they tried is judged.

Trials are scored on inner hold-outs that are drawn from the training part alone, of all its ratings where they are a
million or fewer. The rule of :mod:`recsys.models.recipe` comes first (``start``), with short factors too, and the
recipe of the current release, where there is one. Then:

1. ``scales``: a grid of (ρ, κ) for short factors, a few iterations; the best third is trained further (successive
   halving).
2. ``confidence``: the other ways to read ratings, with the best scales.
3. ``refine``: the neighbours of the best, as long as they improve; and those of the current recipe.
4. ``factors``: twice as long, and again as long as that gains; with more weight of the unobserved too, which longer
   factors ask for.
5. ``iterations``: where the winner may stop.

Stages explore; :meth:`Stages.judged` says at any moment what wins, so that the end of the budget loses nothing:

- the best of all trials, where its lead over the rule is beyond one standard error of the difference, over 20 people
  or more; else the rule. To ask for more is to lose more: on small tables two standard errors are 5% of the score.
- where there is a current recipe, it takes the rule's place, and stays unless something is better by more than two
  standard errors: the gate refuses what is surely worse, and nights should not wander.
- of those that are at most ``cf.longer_gains`` behind it, the one with the shortest factors.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING

from recsys.errors import Diverged
from recsys.evaluation.bootstrap import surely_better
from recsys.system.log import events, keys
from recsys.tuning.outcome import Search, SearchTrial
from recsys.tuning.space import (
    BOUNDS,
    CONFIDENCE,
    FACTORS,
    ITERATIONS,
    LONGER,
    LONGEST,
    MOVES,
    REFINEMENTS,
    REGULARIZATION,
    UNOBSERVED,
)
from recsys.tuning.work import UNIT, BudgetSpent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from recsys.config import CfSettings
    from recsys.models.recipe import CfRecipe
    from recsys.tuning.scorer import RecipeScorer
    from recsys.tuning.work import Budget

log = events(__name__)

_FEW, _FULL = 4, 10
"""Iterations of a first and of a prolonged trial."""
_EARLIER = 0.001
"""Fewer iterations are taken where they cost no more than this share of the score."""
_WORTH_A_LOOK = 0.25
"""Twice as long factors are tried again where the last doubling gained this share of ``cf.longer_gains``."""


@dataclass
class Stages:
    """Takes the stages one after the other, and lists the trials.

    Parameters
    ----------
    scorer
        Where recipes are tried.
    rule
        The settings, and the rule for what is searched.
    current
        The recipe of the current release; None where there is none that the search may know.
    settings
        Section ``cf``.
    budget
        What the search may spend.
    progress
        Called after each trial.

    Attributes
    ----------
    trials
        In the order in which they ran.
    """

    scorer: RecipeScorer
    rule: CfRecipe
    current: CfRecipe | None
    settings: CfSettings
    budget: Budget
    progress: Callable[[SearchTrial], None] = lambda _: None
    trials: list[SearchTrial] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.started = self.budget.clock()
        # A trial has no number of iterations of its own: the current recipe is tried as the others are.
        self.baseline = self.rule if self.current is None else replace(self.current, iterations=self.rule.iterations)

    def search(self, free: frozenset[str]) -> Search:
        """Run the stages, for the settings that are free; see the module's docstring."""
        iterations, complete = self.rule.iterations, True
        try:
            self._explore(free)
            winner = self.judged(free)
            if "iterations" in free and (self.current is None or winner != self.baseline):
                iterations = self._enough_iterations(winner)
        except BudgetSpent:
            complete, winner = False, self.judged(free)
        self.scorer.forget()
        return self._result(winner, iterations, complete=complete)

    def judged(self, free: frozenset[str]) -> CfRecipe:
        """Return what wins by the trials so far."""
        known = {trial.recipe: scores for trial in self.trials if (scores := self._known(trial.recipe)) is not None}
        if not {self.rule, self.baseline} <= known.keys():
            return self.baseline
        means = {recipe: float(scores.mean()) for recipe, scores in known.items()}
        kept, best = self.baseline, max(means, key=means.__getitem__)
        for challenger in (self.rule, best):
            if self._beats(challenger, kept):
                kept = challenger
        if "factors" not in free or (self.current is not None and kept == self.baseline):
            return kept
        enough = (1 - self.settings.longer_gains) * means[kept]
        fit = [recipe for recipe in means if recipe.factors < kept.factors and means[recipe] >= enough]
        if self.current is not None:
            fit = [recipe for recipe in fit if self._beats(recipe, self.baseline)]
        if not fit:
            return kept
        shorter = min(fit, key=lambda recipe: (recipe.factors, -means[recipe]))
        same = replace(kept, factors=shorter.factors)  # its own scales stay, unless others are better
        return same if same in fit and not self._beats(shorter, same) else shorter

    def score(self, recipe: CfRecipe, stage: str, iterations: int, *, keep: bool = False) -> float:
        """Try a recipe: mean NDCG@10; training continues where an earlier trial stopped.

        A recipe that diverges scores 0 for everybody; that is no reason to end the search.

        Raises
        ------
        BudgetSpent
            If the trial would cost more than is left, or the clock ends it.
        """
        known = self.scorer.known(recipe, iterations)
        if known is not None:
            return float(known.mean())
        self.budget.spend(self.scorer.work(recipe, iterations))
        began = self.budget.clock()
        try:
            scores = self.scorer.score(recipe, iterations, keep=keep, watch=self.budget.look)
        except Diverged as error:
            log.warning("a trial diverged", extra=keys(trial=len(self.trials) + 1, stage=stage, reason=error))
            scores = self.scorer.note_failure(recipe, iterations)
        seconds = self.budget.clock() - began
        trial = SearchTrial(stage, recipe, iterations, self.scorer.trained, float(scores.mean()), seconds)
        self.trials.append(trial)
        self.progress(trial)
        return trial.ndcg

    def _known(self, recipe: CfRecipe) -> npt.NDArray[np.float64] | None:
        return self.scorer.known(recipe, _FULL)

    def _beats(self, challenger: CfRecipe, other: CfRecipe) -> bool:
        ours, theirs = self._known(challenger), self._known(other)
        assert ours is not None
        assert theirs is not None
        return surely_better(ours, theirs, self.scorer.people, errors=1 if self.current is None else 2)

    def _explore(self, free: frozenset[str]) -> None:
        short = replace(self.rule, factors=min(FACTORS)) if "factors" in free else self.rule
        for start in (self.rule, self.baseline, short):
            self.score(start, "start", _FULL)
        best = self._scales(short, free)
        if "confidence" in free and self.scorer.ratings_differ:
            best = self._best([best, *(replace(best, confidence=name) for name in CONFIDENCE)], "confidence")
        best = self._refined(best, free)
        if "factors" in free:
            self._lengthened(best, free)
        if self.current is not None:
            self._refined(self.baseline, free)

    def _scales(self, short: CfRecipe, free: frozenset[str]) -> CfRecipe:
        unobserved = UNOBSERVED if "unobserved" in free else (self.rule.unobserved,)
        regularization = REGULARIZATION if "regularization" in free else (self.rule.regularization,)
        grid = [
            replace(short, unobserved=rho, regularization=kappa) for rho, kappa in product(unobserved, regularization)
        ]
        if len(grid) == 1:
            return self._best(grid, "scales")
        means = [self.score(recipe, "scales", _FEW, keep=True) for recipe in grid]
        ranked = [recipe for _, recipe in sorted(zip(means, grid, strict=True), key=lambda pair: -pair[0])]
        promising = ranked[: len(ranked) // 3 + 1]
        self.scorer.forget(but=promising)
        best = self._best(promising, "scales")
        self.scorer.forget()
        return best

    def _refined(self, best: CfRecipe, free: frozenset[str]) -> CfRecipe:
        for _ in range(REFINEMENTS):
            better = self._best([best, *_neighbours(best, free)], "refine")
            if better == best:
                break
            best = better
        return best

    def _lengthened(self, best: CfRecipe, free: frozenset[str]) -> None:
        level = best
        for factors in sorted(FACTORS):
            if factors <= level.factors:
                continue
            longer = replace(level, factors=factors)
            moves = LONGEST if factors == max(FACTORS) else LONGER
            level = self._best([longer, *_neighbours(longer, free, moves)], "factors")
            ours, theirs = (self.score(each, "factors", _FULL) for each in (level, best))
            if ours < (1 + _WORTH_A_LOOK * self.settings.longer_gains) * theirs:
                break
            best = level

    def _best(self, recipes: Iterable[CfRecipe], stage: str) -> CfRecipe:
        scored = [(self.score(recipe, stage, _FULL), recipe) for recipe in recipes]
        return max(scored, key=lambda pair: pair[0])[1]

    def _enough_iterations(self, winner: CfRecipe) -> int:
        means = [self.score(winner, "iterations", count, keep=count < max(ITERATIONS)) for count in ITERATIONS]
        return next(n for n, mean in zip(ITERATIONS, means, strict=True) if mean >= (1 - _EARLIER) * max(means))

    def _result(self, winner: CfRecipe, iterations: int, *, complete: bool) -> Search:
        scores = [self._known(recipe) for recipe in (self.rule, winner, self.baseline)]
        rule, score, used = (float("nan") if known is None else float(known.mean()) for known in scores)
        seconds = self.budget.clock() - self.started
        if self.current is not None and winner == self.baseline:
            iterations = self.current.iterations  # a kept recipe is kept unchanged
        log.info(
            "searched settings",
            extra=keys(
                trials=len(self.trials), complete=complete, seconds=seconds, work=self.budget.spent / UNIT, rule=rule,
                best=score, factors=winner.factors, regularization=winner.regularization, unobserved=winner.unobserved,
                confidence=winner.confidence, iterations=iterations,
            ),
        )  # fmt: skip
        return Search(
            replace(winner, iterations=iterations),
            tuple(self.trials),
            rule,
            score,
            None if self.current is None else used,
            self.scorer.users,
            complete,
            seconds,
            self.budget.spent / UNIT,
            self.budget.ended_by,
        )


def _neighbours(recipe: CfRecipe, free: frozenset[str], moves: Sequence[Mapping[str, float]] = MOVES) -> list[CfRecipe]:
    """Return what is a step away within :data:`BOUNDS`, in the settings that are free; numbers to three digits."""
    found = []
    for move in moves:
        if not move.keys() <= free:
            continue
        moved = {name: float(f"{getattr(recipe, name) * factor:.3g}") for name, factor in move.items()}
        if all(BOUNDS[name][0] <= value <= BOUNDS[name][1] for name, value in moved.items()):
            found.append(replace(recipe, **moved))  # type: ignore[arg-type] # both are floats
    return found
