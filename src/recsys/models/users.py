"""The factors of a table's users: folded in from their own ratings, so that no answer needs those that training left.

Of the same game factors, training's last sweep takes a few steps towards what folding in solves exactly. On the board
games NDCG@10 is the same in four digits (``docs/performance.md``). Releases before format 3 answer by the factors
that they hold, as they did when they were published. numpy alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from recsys.marts import row_counts

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsys.models.folding import FoldIn

    Floats = npt.NDArray[np.float32]


class UserFactors(Protocol):
    """Factors of the users of a table."""

    def of(self, user: int) -> Floats:
        """Return one user's factors, float32, (factors,), whose bits depend on nothing else; 0 without a taste."""
        ...

    def many(self, users: npt.NDArray[np.integer]) -> Floats:
        """Return the factors of some users, each as :meth:`of` does; float32, (n, factors)."""
        ...

    def known(self) -> npt.NDArray[np.bool_]:
        """Return who has any; bool, (users,)."""
        ...

    def prepare(self) -> None:
        """Work out at once what the first user would need."""
        ...


@dataclass(frozen=True, eq=False)
class TrainedUsers:
    """Factors as training left them.

    Attributes
    ----------
    factors
        float32, (users, factors).
    """

    factors: Floats

    def of(self, user: int) -> Floats:
        """Return one row."""
        row: Floats = self.factors[user]
        return row

    def many(self, users: npt.NDArray[np.integer]) -> Floats:
        """Return some rows."""
        rows: Floats = self.factors[users]
        return rows

    def known(self) -> npt.NDArray[np.bool_]:
        """Return which rows are not 0."""
        return np.asarray(self.factors.any(axis=1))

    def prepare(self) -> None:
        """Nothing is to be worked out."""


@dataclass(frozen=True, eq=False)
class FoldedUsers:
    """Factors that are worked out when they are asked for.

    Attributes
    ----------
    folding
        Solves a user's row of the objective.
    item_factors
        float32, (items, factors).
    indptr, indices
        Who rated what: arrays of a CSR matrix, users × items.
    confidence
        float32, aligned with them: as trained; 0 for a rating that does not count.
    scale
        What the objective multiplies each confidence by: :meth:`recsys.models.solvers.Solver.scale`.
    """

    folding: FoldIn
    item_factors: Floats
    indptr: npt.NDArray[np.integer]
    indices: npt.NDArray[np.int32]
    confidence: Floats
    scale: float

    def of(self, user: int) -> Floats:
        """Return the exact solution of the user's row."""
        rated = slice(self.indptr[user], self.indptr[user + 1])
        confidence = self.confidence[rated]
        counts = confidence > 0
        items = self.indices[rated][counts]
        return self.folding.of_turned(self._turned[items], confidence[counts] * np.float32(self.scale))

    def many(self, users: npt.NDArray[np.integer]) -> Floats:
        """Return those of some users, one after the other."""
        factors = np.empty((len(users), self.item_factors.shape[1]), dtype=np.float32)
        for place, user in enumerate(users.tolist()):
            factors[place] = self.of(user)
        return factors

    @cached_property
    def _turned(self) -> npt.NDArray[np.float64]:
        return self.folding.turned(self.item_factors)

    def prepare(self) -> None:
        """Work out at once what the first user would need."""
        _ = self._turned

    def known(self) -> npt.NDArray[np.bool_]:
        """Return who has a rating that counts; bool, (users,)."""
        return row_counts(self.indptr, self.confidence > 0) > 0
