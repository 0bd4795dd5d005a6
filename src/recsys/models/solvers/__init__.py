"""How factors are computed: one solver a file, by the name that ``cf.solver`` gives it.

To import this costs numpy alone: numba and implicit are imported by the fit that needs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from recsys.models.solvers.ials import Ials
from recsys.models.solvers.implicit import Implicit
from recsys.models.solvers.objective import Factors, Objective

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scipy.sparse import csr_matrix

    from recsys.models.recipe import CfRecipe

__all__ = ["SOLVERS", "Factors", "Objective", "Solver", "solver_of"]


class Solver(Protocol):
    """Finds factors for confidences, and says what they minimize, so that others can be folded in."""

    @property
    def searchable(self) -> bool:
        """Whether a search may vary its settings, from a recipe that it can go on with."""
        ...

    @property
    def defaults(self) -> Mapping[str, object]:
        """What is right for most tables, by the names of :data:`recsys.models.recipe.SEARCHED`, in their order."""
        ...

    def objective(self, recipe: CfRecipe, confidence: csr_matrix) -> Objective:
        """Return what is minimized on a table.

        Parameters
        ----------
        recipe
            Scales, which may be relative to the table.
        confidence
            CSR, float32, users × games.
        """
        ...

    def table_size(self, confidence: csr_matrix) -> tuple[int, int]:
        """Return how many users and how many games the objective's sums run over."""
        ...

    def scale(self, recipe: CfRecipe) -> float:
        """Return what every confidence is multiplied by in the objective."""
        ...

    def fit(
        self,
        confidence: csr_matrix,
        recipe: CfRecipe,
        start: int | Factors,
        *,
        threads: int = 0,
        watch: Callable[[int, Factors], None] = ...,
    ) -> Factors:
        """Train for ``recipe.iterations`` more sweeps.

        The same arguments give the same bytes on the same machine, whatever ``threads`` is.

        Parameters
        ----------
        confidence
            CSR, float32, users × games; every stored entry positive and finite.
        recipe
            How to train.
        start
            A seed, from which the first factors are drawn; or factors to continue from, which may be overwritten.
        threads
            0 means one for each core that this process may use.
        watch
            Called after each sweep with the number of sweeps done and the factors, whose scores are right
            and whose single numbers may mean nothing yet. Must not change them.

        Raises
        ------
        Diverged
            If the factors became infinite.
        """
        ...


SOLVERS: Mapping[str, Solver] = {"ials": Ials(), "implicit": Implicit()}
"""All of them, by the values of ``cf.solver``."""


def solver_of(recipe: CfRecipe) -> Solver:
    """Return the solver that a recipe is for."""
    return SOLVERS[recipe.solver]
