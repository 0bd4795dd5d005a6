"""The search for settings that is part of training.

A fixed list of trials, cheap ones first, each scored on an inner hold-out that is drawn from the
training part alone. The rule of :mod:`recsys.models.recipe` comes first (``start``), and beside it the
recipe of the current release, where there is one: so there is something to compare the best with
whenever the time is up. Then:

1. ``scales``: a grid around the rule, a few iterations on a sample of the users; the best third is
   trained further (successive halving).
2. ``confidence``: the other ways to read ratings, with the best scales, on the same sample.
3. ``refine``: the neighbours of the best, or of the current recipe if that is better, as long as they
   improve, on the same sample.
4. ``rule``: the best against the rule, on as many ratings as the search ever looks at. It must
   win by more than two standard errors of the difference, over 20 people or more, or the rule stays:
   on small tables the best of many trials is mostly luck.
5. ``factors``: longer and shorter factors for the one that stayed, on the same ratings.
6. ``iterations``: where it may stop, on the same ratings.

The current recipe takes the place of the rule in 4: it stays as it is unless the rule or the best is
surely better, and in 5 unless its longer or shorter self is. The gate refuses what is surely worse than
it, and a search that knew only the rule could propose such a recipe night after night.

Settings that are given are never varied. Everything but the time limit depends on the ratings,
the settings and the seed alone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from recsys.errors import Diverged
from recsys.evaluation.bootstrap import surely_better
from recsys.models.recipe import BLENDED, CfRecipe
from recsys.models.solvers import SOLVERS
from recsys.system.log import events, keys
from recsys.system.pulse import progress as progress_of
from recsys.system.steps import trim_memory
from recsys.tuning.blend import BlendSearch, TimeIsUp
from recsys.tuning.outcome import Search, SearchTrial
from recsys.tuning.scorer import LARGE, RecipeScorer
from recsys.tuning.space import (
    CONFIDENCE,
    FACTORS,
    ITERATIONS,
    REFINEMENTS,
    REGULARIZATION,
    STEPS,
    UNOBSERVED,
    left_open,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy as np
    import numpy.typing as npt
    import scipy.sparse as sp

    from recsys.config import CfSettings
    from recsys.marts.ratings import Ratings

log = events(__name__)

_SMALL = 150_000
"""Ratings of the sample that cheap trials train on; expensive ones take ``LARGE``."""
_CHEAP, _FULL = 4, 10
"""Iterations of a first and of a prolonged trial."""
_SHORTER = 0.005
"""Shorter factors are taken where they cost no more than this share of the score."""
_EARLIER = 0.001
"""Fewer iterations, likewise."""


def search(
    ratings: sp.csr_matrix,
    settings: CfSettings,
    *,
    current: CfRecipe | None = None,
    clock: Callable[[], float] = time.monotonic,
    progress: Callable[[SearchTrial], None] = lambda _: None,
) -> Search | None:
    """Find the settings that are ``auto``.

    Parameters
    ----------
    ratings
        CSR, float32, users × items: the training part, nothing else.
    settings
        Section ``cf``.
    current
        The recipe of the current release: tried beside the rule, as far as the settings leave it open, and
        the winner unless something is surely better.
    clock
        Seconds, for the time limit.
    progress
        Called after each trial.

    Returns
    -------
    Search or None
        None if there is nothing to search: every setting is given, the solver is none that a search knows, or
        nobody has both a rating to learn from and a liked one to hold out.
    """
    rule = CfRecipe.by_rule(settings, ratings.data)
    free = frozenset(left_open(settings))
    if not SOLVERS[settings.solver].searchable or not free:
        return None
    scorer = RecipeScorer(ratings, settings, rule.like_threshold)
    if not scorer.users(LARGE):
        return None
    if current is not None:
        current = replace(rule, **{name: getattr(current, name) for name in free})
    return _Stages(scorer, rule, current, settings, clock, progress).search(free)


class Choice(NamedTuple):
    """What to train with, and the search that chose it; None where nothing was searched."""

    recipe: CfRecipe
    search: Search | None


def find_recipe(ratings: Ratings, settings: CfSettings, current: CfRecipe | None = None) -> Choice:
    """Return the recipe of the settings: what is ``auto`` searched, or set by rule with ``tuning = "off"``.

    Parameters
    ----------
    ratings
        The training part, nothing else.
    settings
        Section ``cf``.
    current
        The recipe of the current release: where settings are searched, its values are kept unless others
        are surely better.
    """
    outcome = None
    rule = CfRecipe.by_rule(settings, ratings.matrix.data)
    if settings.tuning == "auto":
        with progress_of("searching settings", seconds_at_most=settings.tuning_seconds) as advance:
            began = time.monotonic()
            outcome = search(ratings.matrix, settings, current=current, progress=lambda _: advance(1))
            left = settings.tuning_seconds - (time.monotonic() - began)
            outcome = with_additions(ratings, settings, outcome, left, advance)
        trim_memory()
    return Choice(outcome.winner if outcome else rule, outcome)


def with_additions(
    ratings: Ratings, settings: CfSettings, outcome: Search | None, seconds: float, advance: Callable[[int], None]
) -> Search | None:
    """Return a search with what is added to the factors; see :mod:`recsys.tuning.blend`.

    Parameters
    ----------
    ratings, settings
        As for :func:`find_recipe`.
    outcome
        The search for factors; None where all of them were given.
    seconds
        What is left of the time limit; a third of it is there in any case.
    advance
        Called after each trial.
    """
    free = frozenset(left_open(settings, BLENDED))
    if not free or not SOLVERS[settings.solver].searchable:
        return outcome
    start = outcome.winner if outcome else CfRecipe.by_rule(settings, ratings.matrix.data)
    limit = max(seconds, settings.tuning_seconds / 3)
    further = BlendSearch(ratings, start, free, settings, limit, progress=lambda _: advance(1))
    winner = further.search()
    if outcome is not None:
        complete = outcome.complete and further.complete
        return replace(outcome, winner=winner, trials=(*outcome.trials, *further.trials), complete=complete)
    if not further.trials:
        return None
    unknown = float("nan")
    return Search(
        winner,
        tuple(further.trials),
        rule=unknown,
        best=unknown,
        used=None,
        users=len(further.split.users),
        complete=further.complete,
        seconds=sum(trial.seconds for trial in further.trials),
    )


@dataclass
class _Stages:
    """Takes the stages one after the other, lists the trials and watches the time."""

    scorer: RecipeScorer
    rule: CfRecipe
    current: CfRecipe | None
    settings: CfSettings
    clock: Callable[[], float]
    progress: Callable[[SearchTrial], None]
    trials: list[SearchTrial] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.started = self.clock()
        # A trial has no number of iterations of its own: the current recipe is tried as the others are.
        self.baseline = self.rule if self.current is None else replace(self.current, iterations=self.rule.iterations)

    def search(self, free: frozenset[str]) -> Search:
        """Run the stages; see the module's docstring."""
        iterations, complete = self.rule.iterations, True
        settled: CfRecipe | None = None
        try:
            settled = self._settle(free)
            if "iterations" in free and (self.current is None or settled != self.baseline):
                iterations = self._enough_iterations(settled)
        except TimeIsUp:
            complete = False
        return self._result(settled or self._best_so_far(), iterations, complete=complete)

    def _settle(self, free: frozenset[str]) -> CfRecipe:
        """Return the winner of all stages but the last."""
        for start in (self.rule, self.baseline):
            self.score(start, "start", _SMALL, _FULL)
        best = self._scales(free)
        if "confidence" in free:
            others = (replace(best, confidence=name) for name in CONFIDENCE)
            best = self._best(others, "confidence", _SMALL, _FULL)
        if self.current is not None:
            best = self._best((best, self.baseline), "start", _SMALL, _FULL)
        best = self._surely_better(self._refine(best, free))
        return self._length_of_factors(best) if "factors" in free else best

    def _result(self, winner: CfRecipe, iterations: int, *, complete: bool) -> Search:
        scores = [self.scorer.known(recipe, LARGE, _FULL) for recipe in (self.rule, winner, self.baseline)]
        rule, score, used = (float("nan") if known is None else float(known.mean()) for known in scores)
        seconds = self.clock() - self.started
        if self.current is not None and winner == self.baseline:
            iterations = self.current.iterations  # a kept recipe is kept unchanged
        log.info(
            "searched settings",
            extra=keys(
                trials=len(self.trials), complete=complete, seconds=seconds, rule=rule, best=score,
                factors=winner.factors, regularization=winner.regularization, unobserved=winner.unobserved,
                confidence=winner.confidence, iterations=iterations,
            ),
        )  # fmt: skip
        return Search(
            replace(winner, iterations=iterations),
            tuple(self.trials),
            rule,
            score,
            None if self.current is None else used,
            self.scorer.users(LARGE),
            complete,
            seconds,
        )

    def score(self, recipe: CfRecipe, stage: str, size: int, iterations: int) -> npt.NDArray[np.float64]:
        """Try a recipe: NDCG@10 of each scored user; training continues where an earlier trial stopped.

        A recipe that diverges scores 0 for everybody; that is no reason to end the search.
        """
        known = self.scorer.known(recipe, size, iterations)
        if known is not None:
            return known
        if self.clock() - self.started > self.settings.tuning_seconds:
            raise TimeIsUp
        began = self.clock()
        try:
            scores = self.scorer.score(recipe, size, iterations, keep=iterations < _FULL)
        except Diverged as error:
            log.warning("a trial diverged", extra=keys(trial=len(self.trials) + 1, stage=stage, reason=error))
            scores = self.scorer.note_failure(recipe, size, iterations)
        trained = self.scorer.trained(size)
        trial = SearchTrial(stage, recipe, iterations, trained, float(scores.mean()), self.clock() - began)
        self.trials.append(trial)
        self.progress(trial)
        return scores

    def _best(self, recipes: Iterable[CfRecipe], stage: str, size: int, iterations: int) -> CfRecipe:
        return self._ranked(recipes, stage, size, iterations)[0]

    def _ranked(self, recipes: Iterable[CfRecipe], stage: str, size: int, iterations: int) -> list[CfRecipe]:
        scored = [(float(self.score(recipe, stage, size, iterations).mean()), recipe) for recipe in recipes]
        return [recipe for _, recipe in sorted(scored, key=lambda pair: -pair[0])]

    def _scales(self, free: frozenset[str]) -> CfRecipe:
        grid = list(self._grid(free))
        ranked = self._ranked(grid, "scales", _SMALL, _CHEAP) if len(grid) > 1 else grid
        promising = ranked[: len(ranked) // 3 + 1]
        self.scorer.forget(but=promising)
        best = self._best(promising, "scales", _SMALL, _FULL)
        self.scorer.forget(but=[])
        return best

    def _grid(self, free: frozenset[str]) -> Iterator[CfRecipe]:
        unobserved = UNOBSERVED if "unobserved" in free else (self.rule.unobserved,)
        regularization = REGULARIZATION if "regularization" in free else (self.rule.regularization,)
        for rho, kappa in product(unobserved, regularization):
            yield replace(self.rule, unobserved=rho, regularization=kappa)

    def _length_of_factors(self, best: CfRecipe) -> CfRecipe:
        recipes = [replace(best, factors=factors) for factors in FACTORS]
        means = [float(self.score(recipe, "factors", LARGE, _FULL).mean()) for recipe in recipes]
        enough = (1 - _SHORTER) * max(means)
        chosen = next(recipe for recipe, mean in zip(recipes, means, strict=True) if mean >= enough)
        return chosen if self.current is None or self._sure(chosen, self.baseline, LARGE) else best

    def _enough_iterations(self, best: CfRecipe) -> int:
        means = [float(self.score(best, "iterations", LARGE, count).mean()) for count in ITERATIONS]
        return next(n for n, mean in zip(ITERATIONS, means, strict=True) if mean >= (1 - _EARLIER) * max(means))

    def _refine(self, best: CfRecipe, free: frozenset[str]) -> CfRecipe:
        for _ in range(REFINEMENTS):
            neighbours = [best]
            for name, factor in STEPS.items():
                if name in free:
                    neighbours += [replace(best, **{name: getattr(best, name) * f}) for f in (factor, 1 / factor)]
            better = self._best(neighbours, "refine", _SMALL, _FULL)
            if better == best:
                break
            best = better
        return best

    def _surely_better(self, best: CfRecipe, size: int = LARGE) -> CfRecipe:
        """Return the baseline; or the rule, or the best of the trials, where that is surely better."""
        kept = self.baseline
        for challenger in (self.rule, best):
            if self._sure(challenger, kept, size):
                kept = challenger
        return kept

    def _sure(self, recipe: CfRecipe, other: CfRecipe, size: int) -> bool:
        ours, theirs = (self.score(each, "rule", size, _FULL) for each in (recipe, other))
        return surely_better(ours, theirs, self.scorer.people(size))

    def _best_so_far(self) -> CfRecipe:
        """Return the best of the trials that were finished, under the same condition."""
        tried = dict.fromkeys(trial.recipe for trial in self.trials)
        for size in (LARGE, _SMALL):
            known = {recipe: self.scorer.known(recipe, size, _FULL) for recipe in tried}
            means = {recipe: float(scores.mean()) for recipe, scores in known.items() if scores is not None}
            # With nothing beside them at this size, the trials on the smaller sample say more.
            if {self.rule, self.baseline} < means.keys():
                return self._surely_better(max(means, key=means.__getitem__), size)
        return self.baseline
