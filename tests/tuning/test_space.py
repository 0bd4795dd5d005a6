"""One space for both searches: a study may try all that a night's search can find."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from factories.tastes import tastes
from recsys.config import CfSettings
from recsys.models.recipe import SEARCHED, CfRecipe
from recsys.tuning import space
from recsys.tuning.space import BOUNDS, RANGES, Space, left_open
from recsys.tuning.stages import Stages
from recsys.tuning.work import Budget
from standins.formula_scorer import FormulaScorer

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsys.tuning import Search

RATINGS = tastes(users=400, items=60)
SETTINGS = CfSettings(threads=1)
RULE = CfRecipe.by_rule(SETTINGS, RATINGS.matrix.data)


def found(quality: Callable[[CfRecipe], float]) -> Search:
    """Search every setting, by a formula."""
    scorer = FormulaScorer(RATINGS.matrix, SETTINGS, RULE.like_threshold, quality=quality)
    return Stages(scorer, RULE, None, SETTINGS, Budget(1e15, 1e9)).search(frozenset(SEARCHED))


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("name", ["unobserved", "regularization"])
def test_the_farthest_that_a_night_can_find_is_in_a_studys_ranges(name: str, direction: int) -> None:
    """Where more is always better, or less, a night's search goes far, and not beyond what a study can reach too."""
    outcome = found(
        lambda recipe: 0.01 * (direction * float(np.log(getattr(recipe, name))) + float(np.log2(recipe.factors)))
    )
    grid = {"unobserved": space.UNOBSERVED, "regularization": space.REGULARIZATION}[name]
    low, high = BOUNDS[name]
    end = getattr(outcome.winner, name)
    assert low <= end <= high
    assert end > 1.5 * max(grid) if direction > 0 else end < min(grid) / 1.5
    everything = Space.of(CfSettings(), RATINGS.matrix.data)
    assert set(everything.free) == set(RANGES)
    tried = {replace(trial.recipe, iterations=trial.iterations) for trial in outcome.trials if trial.iterations > 4}
    assert len({recipe.factors for recipe in tried}) == len(space.FACTORS)
    assert len({recipe.confidence for recipe in tried}) == len(space.CONFIDENCE)
    for recipe in (*tried, outcome.winner):
        assert everything.values(recipe) is not None, recipe


def test_a_study_knows_its_bounds() -> None:
    """Factors between its steps and scales beyond its ranges are outside of what a study can try."""
    everything = Space.of(CfSettings(), RATINGS.matrix.data)
    assert everything.values(RULE) is not None
    for other in ({"factors": 48}, {"unobserved": 501.0}, {"regularization": 0.04}, {"iterations": 34}):
        assert everything.values(replace(RULE, **other)) is None


def test_left_open_is_what_nobody_gave() -> None:
    """What is `auto`, also where somebody wrote so, and a number's default until somebody sets it, to whatever."""
    settings = CfSettings(factors=8, unobserved="auto")
    assert left_open(settings) == ("regularization", "unobserved", "confidence", "iterations")
    assert left_open(settings, ("exponent", "factors")) == ("exponent",)
    assert left_open(CfSettings(exponent=1.0), ("exponent",)) == ()
