"""A search that knows the current recipe: it is kept unless something is surely better, whenever the time is up.

Recipes score by a formula here, so that what is better, and by how much, is known.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from factories.tastes import tastes
from recsys.config import CfSettings
from recsys.models.recipe import SEARCHED, CfRecipe
from recsys.tuning.nightly import search
from recsys.tuning.scorer import RecipeScorer
from recsys.tuning.stages import Stages
from recsys.tuning.work import Budget
from standins.formula_scorer import FormulaScorer

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsys.marts.ratings import Ratings
    from recsys.tuning import Search

RATINGS = tastes(users=400, items=60)
SETTINGS = CfSettings(threads=1)
RULE = CfRecipe.by_rule(SETTINGS, RATINGS.matrix.data)
USED = replace(RULE, factors=48, unobserved=40.0, regularization=0.45, iterations=9)
"""No trial of a search that does not know it has these numbers."""

PEOPLE = RecipeScorer(RATINGS.matrix, SETTINGS, RULE.like_threshold).people
SURE, UNSURE = 0.004, 0.0001
"""Leads in NDCG; noise makes two standard errors of a lead about 0.0004."""


def searched(
    quality: Callable[[CfRecipe], float], used: CfRecipe | None = USED, seconds: float = 1e9, ratings: Ratings = RATINGS
) -> Search:
    """Search by a formula; a look at the clock takes a second."""
    scorer = FormulaScorer(ratings.matrix, SETTINGS, RULE.like_threshold, quality=quality)
    budget = Budget(1e15, seconds, itertools.count().__next__)
    return Stages(scorer, RULE, used, SETTINGS, budget).search(frozenset(SEARCHED))


def is_used(recipe: CfRecipe) -> bool:
    """Whether a recipe is the current one, after any number of iterations."""
    return replace(recipe, iterations=0) == replace(USED, iterations=0)


def test_it_is_tried_beside_the_rule() -> None:
    """The first two trials are the rule and the current recipe; the search says what that scored."""
    outcome = searched(lambda recipe: UNSURE * is_used(recipe))
    assert outcome.trials[0].recipe == RULE
    assert is_used(outcome.trials[1].recipe)
    assert outcome.used == pytest.approx(0.3 + UNSURE)
    assert outcome.rule == pytest.approx(0.3)


@pytest.mark.parametrize("lead", [SURE, UNSURE, 0, -UNSURE])
def test_it_stays_as_it_is_unless_something_is_surely_better(lead: float) -> None:
    """Better, equal or a little worse than others: the winner is the current recipe, factors and iterations too."""
    outcome = searched(lambda recipe: lead * is_used(recipe))
    assert outcome.winner == USED
    assert outcome.complete
    assert "iterations" not in {trial.stage for trial in outcome.trials}


def test_without_one_the_rule_stays() -> None:
    """Nothing is better than the rule: its scales stay, with the shortest factors that are as good."""
    outcome = searched(lambda recipe: UNSURE * is_used(recipe), None)
    assert replace(outcome.winner, iterations=12, factors=128) == RULE
    assert outcome.winner.factors == 64
    assert outcome.as_json()["used"] is None


@pytest.mark.parametrize(("lead", "wins"), [(0.5, False), (1.6, True)])
def test_one_standard_error_is_enough_against_the_rule(lead: float, *, wins: bool) -> None:
    """Two are asked against a current recipe alone: a rule that stays where nothing is sure costs more than luck."""
    times = np.unique(PEOPLE, return_counts=True)[1]
    error = 0.002 * np.sqrt(2) * np.sqrt((1 / times).mean() / len(times))

    def quality(recipe: CfRecipe) -> float:
        return float(lead * error * (recipe.unobserved == 16 and recipe.regularization == 0.4))

    winner, kept = (searched(quality, used).winner for used in (None, USED))
    assert (winner.unobserved == 16) is wins
    assert kept == USED


def test_the_rule_takes_its_place_where_it_is_surely_better() -> None:
    """A recipe that turned bad is let go, and the winner has a number of iterations of its own."""
    outcome = searched(lambda recipe: -SURE * (recipe.factors == USED.factors))
    assert replace(outcome.winner, iterations=12, factors=128) == RULE
    assert [trial.stage for trial in outcome.trials[-1:]] == ["iterations"]


def test_the_best_takes_its_place_where_it_is_surely_better() -> None:
    """Better than the current recipe is enough, also where the rule is nearly as good as that."""
    outcome = searched(lambda recipe: SURE * (recipe.unobserved == 16) - UNSURE * (recipe == RULE))
    assert outcome.winner.unobserved == 16


def test_neighbours_of_the_current_recipe_are_tried() -> None:
    """Where no start of the search's own comes near, the way up begins at the current recipe."""
    peak = USED.unobserved * 1.5**2
    outcome = searched(
        lambda recipe: SURE * (2 - abs(np.log(recipe.unobserved / peak))) * (recipe.factors == USED.factors)
    )
    assert outcome.winner.unobserved == pytest.approx(peak, rel=0.15)


@pytest.mark.parametrize(("loss", "factors"), [(0.0005, 64), (0.0029, 128)])
def test_shorter_factors_must_be_surely_better_too(loss: float, factors: int) -> None:
    """A percent may be given away from the best, but not its lead over the current recipe."""
    outcome = searched(lambda recipe: (0.003 - loss * (recipe.factors == 64)) * (recipe.unobserved == 16))
    assert (outcome.winner.unobserved, outcome.winner.factors) == (16, factors)


@pytest.mark.parametrize(("gain", "factors"), [(0.002, 64), (0.02, 512)])
def test_longer_factors_where_they_gain(gain: float, factors: int) -> None:
    """Each doubling gains a share of the score: below `cf.longer_gains` over all of them the shortest stay."""
    outcome = searched(lambda recipe: 0.3 * gain * np.log2(recipe.factors / 64), None)
    assert outcome.winner.factors == factors


def test_whenever_the_time_is_up_it_stays_or_what_is_surely_better_wins() -> None:
    """At every moment of a search the winner is the current recipe, or a trial that is surely better than it."""

    def quality(recipe: CfRecipe) -> float:
        return SURE * (recipe.unobserved == 16) * (recipe.confidence == "graded") - SURE * (recipe == RULE)

    winners = [searched(quality, seconds=seconds).winner for seconds in range(0, 240, 12)]
    assert winners[0] == USED
    assert {winner.unobserved for winner in winners} == {USED.unobserved, 16}
    assert winners[-1].unobserved == 16
    assert all(searched(lambda recipe: UNSURE * (recipe.unobserved == 16), seconds=seconds).winner == USED
               for seconds in range(0, 240, 12))  # fmt: skip


@pytest.mark.parametrize("used", [None, USED])
def test_a_trial_more_never_makes_the_search_forget(used: CfRecipe | None) -> None:
    """Once the time that there was sufficed for the better recipe, more time does."""

    def quality(recipe: CfRecipe) -> float:
        return SURE * (recipe.unobserved == 16)

    took_it = [searched(quality, used, seconds).winner.unobserved == 16 for seconds in range(0, 250, 12)]
    assert any(took_it)
    assert all(took_it[took_it.index(True) :])


def test_what_is_given_now_is_given_to_it_too() -> None:
    """Of the current recipe only what the settings leave open is taken; the rest is as the settings say."""
    settings = CfSettings(factors=8, confidence="liked", threads=1)
    outcome = search(RATINGS.matrix, settings, Budget(1e-9, 1e9), current=USED)
    assert outcome is not None
    expected = replace(USED, factors=8, confidence="liked", like_threshold=RULE.like_threshold)
    assert outcome.winner == expected
