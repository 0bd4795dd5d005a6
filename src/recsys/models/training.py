"""One training, from ratings and a recipe to factors in implicit's class."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeAlias

from recsys.models.solvers import solver_of
from recsys.models.solvers.implicit import filled_model
from recsys.system.log import events, keys
from recsys.system.pulse import progress

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt
    import scipy.sparse as sp
    from implicit.cpu.als import AlternatingLeastSquares

    from recsys.config import CfSettings
    from recsys.models.recipe import CfRecipe
    from recsys.models.solvers import Factors

    Watch: TypeAlias = Callable[[npt.NDArray[np.float32], npt.NDArray[np.float32]], None]

log = events(__name__)


def train(
    weights: sp.csr_matrix, recipe: CfRecipe, settings: CfSettings, watch: Watch | None = None
) -> AlternatingLeastSquares:
    """Train on confidences by a recipe; the factors are in implicit's class, whichever solver made them.

    Parameters
    ----------
    weights
        CSR, float32, users × games: positive confidences.
    recipe
        What to train.
    settings
        ``seed`` and ``threads`` are used.
    watch
        Is shown user and item factors after each iteration; must not change them.

    Raises
    ------
    Diverged
        If the factors became infinite.
    """
    started = began = time.perf_counter()
    with progress("ALS iterations", recipe.iterations) as advance:

        def after(iteration: int, factors: Factors) -> None:
            nonlocal began
            advance(1)
            log.debug("ALS iteration", extra=keys(iteration=iteration, seconds=time.perf_counter() - began))
            if watch is not None:
                watch(*factors)
            began = time.perf_counter()

        factors = solver_of(recipe).fit(weights, recipe, settings.seed, threads=settings.threads, watch=after)
    log.info(
        "trained ALS",
        extra=keys(
            solver=recipe.solver,
            users=weights.shape[0],
            games=weights.shape[1],
            entries=weights.nnz,
            factors=recipe.factors,
            iterations=recipe.iterations,
            seconds=time.perf_counter() - started,
        ),
    )
    return filled_model(recipe, settings.seed, settings.threads, factors)
