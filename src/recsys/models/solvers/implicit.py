"""The ALS of the library implicit.

Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", 2008.
Its class is also what the file ``cf_model.pkl`` holds, whichever solver made the factors.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.errors import Diverged
from recsys.models.solvers.objective import Factors, Objective
from recsys.system.cores import usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from implicit.cpu.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix

    from recsys.models.recipe import CfRecipe


class Implicit:
    """Implicit's ALS: α₀ = 1 on the pairs without a rating, the same λ for everybody, users and games without any too.

    Parameters
    ----------
    make
        Makes implicit's model before its fit; see :func:`empty_model`.
    """

    searchable = False
    defaults: Mapping[str, object] = {
        "factors": 32,
        "regularization": 200.0,
        "unobserved": 1.0,
        "confidence": "liked",
        "iterations": 12,
    }

    def __init__(self, make: Callable[[CfRecipe, int, int], Any] | None = None) -> None:
        self._make = make or empty_model

    def objective(self, recipe: CfRecipe, confidence: csr_matrix) -> Objective:
        """Return λ as it is given."""
        return Objective(recipe.regularization, 1.0, 0.0, "unrated")

    def table_size(self, confidence: csr_matrix) -> tuple[int, int]:
        """Return the numbers of all users and games, those without an entry among them."""
        users, items = confidence.shape
        return int(users), int(items)

    def scale(self, recipe: CfRecipe) -> float:
        """Return α, which implicit multiplies every confidence by."""
        return recipe.alpha

    def fit(
        self,
        confidence: csr_matrix,
        recipe: CfRecipe,
        start: int | Factors,
        *,
        threads: int = 0,
        watch: Callable[[int, Factors], None] = lambda *_: None,
    ) -> Factors:
        """Run implicit's fit; see :class:`recsys.models.solvers.Solver`.

        BLAS is held to one thread, since its threads and implicit's own get in each other's way.
        """
        from implicit.recommender_base import ModelFitError
        from threadpoolctl import threadpool_limits

        model = self._make(recipe, start if isinstance(start, int) else 0, threads or usable_cores())
        if isinstance(start, Factors):
            model.user_factors, model.item_factors = start
        with threadpool_limits(1, "blas"), suppress(ModelFitError):  # it looks for NaN alone, and names no setting
            model.fit(
                confidence,
                show_progress=False,
                callback=lambda done, *_: watch(done + 1, Factors(model.user_factors, model.item_factors)),
            )
        if not (np.isfinite(model.user_factors).all() and np.isfinite(model.item_factors).all()):
            raise Diverged(
                f"the factors became infinite with cf.regularization = {recipe.regularization:g} and cf.alpha = "
                f"{recipe.alpha:g}; raise the one or lower the other"
            )
        return Factors(model.user_factors, model.item_factors)


def empty_model(recipe: CfRecipe, seed: int, threads: int) -> AlternatingLeastSquares:
    """Return implicit's model before its fit.

    A fresh object each time, since a second ``fit`` would silently continue from the first; an
    integer seed, since a ``RandomState`` crashes it. Its maker warns of BLAS with threads of its own.

    Parameters
    ----------
    recipe
        What to train.
    seed
        Seed of the first factors.
    threads
        Threads of its fit; kept in the model.
    """
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        return AlternatingLeastSquares(
            factors=recipe.factors,
            regularization=recipe.regularization,
            alpha=recipe.alpha,
            iterations=recipe.iterations,
            num_threads=threads,
            random_state=seed,
        )


def filled_model(recipe: CfRecipe, seed: int, threads: int, factors: Factors) -> AlternatingLeastSquares:
    """Return implicit's model with factors in it, whichever solver made them: what ``cf_model.pkl`` holds.

    What its ``recalculate_user`` minimizes is implicit's objective, which matches no factors of another
    solver: :mod:`recsys.models.folding` is what to call instead.

    Parameters
    ----------
    recipe, seed, threads
        As :func:`empty_model` takes them; ``threads`` is the setting, 0 for any number of cores: the pickle is
        to be the same on every machine.
    factors
        What was trained.
    """
    model = empty_model(recipe, seed, threads)
    model.user_factors, model.item_factors = factors
    return model
