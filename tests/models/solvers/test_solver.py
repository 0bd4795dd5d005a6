"""What every solver does, whichever finds the factors."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest

import recsys
from factories.tastes import tastes
from recsys.config import CfSettings
from recsys.errors import Diverged
from recsys.models import CollaborativeFilter
from recsys.models.confidence import confidence
from recsys.models.folding import FoldIn
from recsys.models.recipe import SEARCHED, CfRecipe
from recsys.models.solvers import SOLVERS, Factors, Objective, solver_of

if TYPE_CHECKING:
    import numpy.typing as npt
    import scipy.sparse as sp

RATINGS = tastes(users=120, items=40).matrix

pytestmark = pytest.mark.parametrize("name", sorted(SOLVERS))


def recipe_of(name: str, **other: object) -> CfRecipe:
    """Return the rule's recipe of a solver, of few factors."""
    rule = CfRecipe.by_rule(CfSettings(solver=name), RATINGS.data)  # type: ignore[arg-type] # one of the names
    return replace(rule, **{"factors": 6, "iterations": 4, **other})  # type: ignore[arg-type]


def weights_of(recipe: CfRecipe) -> sp.csr_matrix:
    """Return the confidences that a recipe trains on."""
    return confidence(RATINGS, recipe.confidence, recipe.like_threshold)


def loss(objective: Objective, scale: float, weights: sp.csr_matrix, factors: Factors) -> float:
    """Return the sum that a solver says it minimizes, over every pair; see :mod:`recsys.models.solvers.ials`."""
    c, scores = scale * weights.toarray().astype(float), factors.users.astype(float) @ factors.items.T.astype(float)
    rest = np.where(c > 0, 0, 1) if objective.overlap == "unrated" else 1
    fit = (c * (1 - scores) ** 2).sum() + objective.unobserved * (rest * scores**2).sum()
    for sums, others, side in ((c.sum(1), c.shape[1], factors.users), (c.sum(0), c.shape[0], factors.items)):
        ridge = objective.regularization * (sums + objective.unobserved * others) ** objective.exponent
        fit += (ridge * (side.astype(float) ** 2).sum(1)).sum()
    return float(fit)


def test_a_setting_names_it(name: str) -> None:
    """The names of `cf.solver` are the solvers that there are; each knows what is right for most tables."""
    assert set(SOLVERS) == set(get_args(CfSettings.model_fields["solver"].annotation))
    assert set(SOLVERS[name].defaults) == set(SEARCHED)


def test_it_says_what_it_minimizes(name: str) -> None:
    """Sweep by sweep the sum that it names gets smaller, computed here over every pair."""
    recipe = recipe_of(name, regularization=0.5 if name == "ials" else 3.0)
    solver, weights = solver_of(recipe), weights_of(recipe)
    objective, losses = solver.objective(recipe, weights), []
    solver.fit(
        weights,
        recipe,
        0,
        watch=lambda _, factors: losses.append(loss(objective, solver.scale(recipe), weights, factors)),
    )
    assert len(losses) == recipe.iterations
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.9 * losses[0]


def test_threads_change_no_byte(name: str) -> None:
    """One thread or two: the same factors, float32, a row for each user and game."""
    recipe = recipe_of(name)
    weights = weights_of(recipe)
    one, two = (SOLVERS[name].fit(weights, recipe, 3, threads=threads) for threads in (1, 2))
    assert [side.shape for side in one] == [(120, 6), (40, 6)]
    assert all(side.dtype == np.float32 for side in one)
    assert all(np.array_equal(*sides) for sides in zip(one, two, strict=True))


def test_it_goes_on_from_factors(name: str) -> None:
    """Two sweeps and then two more score as four do."""
    recipe = recipe_of(name)
    weights, solver = weights_of(recipe), SOLVERS[name]
    half = replace(recipe, iterations=2)
    whole = solver.fit(weights, recipe, 1)
    parts = solver.fit(weights, half, solver.fit(weights, half, 1))
    scores = [factors.users @ factors.items.T for factors in (whole, parts)]
    np.testing.assert_allclose(scores[0], scores[1], atol=2e-3)


def test_a_visitor_is_folded_in_by_it(name: str) -> None:
    """No step away from a visitor's factors makes their row of the objective smaller."""
    recipe = recipe_of(name, regularization=0.5 if name == "ials" else 3.0)
    settings = recipe.pin(CfSettings(solver=name, tuning="off"))  # type: ignore[arg-type] # one of the names
    model = CollaborativeFilter(settings).fit(tastes(users=120, items=40))
    solver, weights = solver_of(recipe), weights_of(recipe)
    objective, folding = solver.objective(recipe, weights), FoldIn.of(model)
    y = model.item_factors.astype(float)
    liked = np.array([1, 5, 9])
    user = folding.user(model.item_factors[liked]).astype(float)
    c = np.zeros(len(y))
    c[liked] = folding.confidence
    rest = np.where(c > 0, 0, 1) if objective.overlap == "unrated" else 1
    ridge = objective.regularization * (c.sum() + objective.unobserved * len(y)) ** objective.exponent

    def row(x: npt.NDArray[np.float64]) -> float:
        score = y @ x
        return float((c * (1 - score) ** 2).sum() + objective.unobserved * (rest * score**2).sum() + ridge * x @ x)

    steps = np.random.default_rng(0).normal(0, 1e-3, (50, len(user)))
    assert all(row(user + step) > row(user) for step in steps)


def test_infinite_factors_are_an_error(name: str) -> None:
    """Confidences beyond all measure end in :class:`Diverged`, which names a setting."""
    recipe = recipe_of(name, alpha=1e30, regularization=0.0)
    weights = weights_of(recipe)
    weights.data = np.full_like(weights.data, 1e30)
    with pytest.raises(Diverged, match=r"cf\.\w+"), np.errstate(all="ignore"):
        SOLVERS[name].fit(weights, recipe, 0)


def test_nobody_else_asks_for_it_by_name(name: str) -> None:
    """Outside of the solvers, and of the settings that declare the names, no code compares a solver's name."""
    source = Path(recsys.__file__).parent
    asks = re.compile(rf"""(==|!=|\bin\b|\bcase\b)\s*[({{\[]?\s*["']{name}["']""")
    files = [file for file in source.rglob("*.py") if file != source / "cf_settings.py" and "solvers" not in file.parts]
    assert len(files) > 100
    assert [file.name for file in files if asks.search(file.read_text())] == []
