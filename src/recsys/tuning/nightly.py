"""The search for settings that is part of training: for the factors, and for what is added to them.

:mod:`recsys.tuning.stages` searches the factors' settings, :mod:`recsys.tuning.blend` what is added. Settings that are
given are never varied. Both spend one budget of counted work (:mod:`recsys.tuning.work`), of which a share is kept for
the second: what is found depends on the ratings, the settings and the seed alone, unless the clock has to brake.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from recsys.models.recipe import BLENDED, CfRecipe
from recsys.models.solvers import SOLVERS
from recsys.system.pulse import progress as progress_of
from recsys.system.steps import trim_memory
from recsys.tuning.blend import BlendSearch
from recsys.tuning.outcome import Search, SearchTrial
from recsys.tuning.scorer import RecipeScorer
from recsys.tuning.space import left_open
from recsys.tuning.stages import Stages
from recsys.tuning.work import UNIT, Budget

if TYPE_CHECKING:
    from collections.abc import Callable

    import scipy.sparse as sp

    from recsys.config import CfSettings
    from recsys.marts.ratings import Ratings

_FOR_ADDITIONS = 0.35
"""Share of the budget that the search for factors leaves to that for what is added."""


def budget_of(settings: CfSettings, clock: Callable[[], float] = time.monotonic) -> Budget:
    """Return what a search by these settings may spend."""
    return Budget(settings.tuning_work * UNIT, settings.tuning_brake_s, clock)


def search(
    ratings: sp.csr_matrix,
    settings: CfSettings,
    budget: Budget,
    *,
    current: CfRecipe | None = None,
    progress: Callable[[SearchTrial], None] = lambda _: None,
) -> Search | None:
    """Find the settings of the factors that are ``auto``.

    Parameters
    ----------
    ratings
        CSR, float32, users × games: the training part, nothing else.
    settings
        Section ``cf``.
    budget
        What may be spent.
    current
        The recipe of the current release: tried beside the rule, as far as the settings leave it open, and
        the winner unless something is surely better.
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
    if not scorer.users:
        return None
    if current is not None:
        current = replace(rule, **{name: getattr(current, name) for name in free})
    return Stages(scorer, rule, current, settings, budget, progress).search(free)


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
        with progress_of("searching settings", seconds_at_most=settings.tuning_brake_s) as advance:
            budget = budget_of(settings)
            if additions := _additions(settings):
                budget.keep(_FOR_ADDITIONS)
            outcome = search(ratings.matrix, settings, budget, current=current, progress=lambda _: advance(1))
            budget.keep(0)
            if additions:
                outcome = with_additions(ratings, settings, outcome, budget, advance)
        trim_memory()
    return Choice(outcome.winner if outcome else rule, outcome)


def _additions(settings: CfSettings) -> frozenset[str]:
    return frozenset(left_open(settings, BLENDED)) if SOLVERS[settings.solver].searchable else frozenset()


def with_additions(
    ratings: Ratings, settings: CfSettings, outcome: Search | None, budget: Budget, advance: Callable[[int], None]
) -> Search | None:
    """Return a search with what is added to the factors; see :mod:`recsys.tuning.blend`.

    Parameters
    ----------
    ratings, settings
        As for :func:`find_recipe`.
    outcome
        The search for factors; None where all of them were given.
    budget
        What is left of it may be spent.
    advance
        Called after each trial.
    """
    start = outcome.winner if outcome else CfRecipe.by_rule(settings, ratings.matrix.data)
    further = BlendSearch(ratings, start, _additions(settings), settings, budget, progress=lambda _: advance(1))
    winner = further.search()
    if outcome is None and not further.trials:
        return None
    if outcome is None:
        unknown = float("nan")
        outcome = Search(winner, (), unknown, unknown, None, further.users, complete=True, seconds=0.0)
    return replace(
        outcome,
        winner=winner,
        trials=(*outcome.trials, *further.trials),
        complete=outcome.complete and further.complete,
        seconds=outcome.seconds + further.seconds,
        work=budget.spent / UNIT,
        ended_by=budget.ended_by,
    )
