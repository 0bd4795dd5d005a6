"""What factors minimize, as numbers; numpy alone, since serving folds people in by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from recsys.marts import column_counts

if TYPE_CHECKING:
    import numpy.typing as npt


class Factors(NamedTuple):
    """User factors (users, d) and game factors (games, d), float32; a score is their dot product."""

    users: npt.NDArray[np.float32]
    items: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Objective:
    """The weights of what is minimized; the sum itself stands in :mod:`recsys.models.solvers.ials`."""

    regularization: float
    """λ ≥ 0."""
    unobserved: float = 1.0
    """α₀ > 0, the weight of a pair without a rating."""
    exponent: float = 1.0
    """ν: 1 scales λ with a row's weight, 0 gives every row the same λ."""
    overlap: Literal["all", "unrated"] = "all"
    """Whether α₀ weighs on all pairs, or on those without a rating only."""

    def ridge(self, weights: npt.NDArray[np.float64], others: int) -> npt.NDArray[np.float32]:
        """Return the λ of each row from its total confidence; ``others`` is the other side's :func:`table_size`."""
        scaled = self.regularization * (weights + self.unobserved * others) ** self.exponent
        return scaled.astype(np.float32)


def table_size(indptr: npt.NDArray[np.integer[Any]], indices: npt.NDArray[np.integer[Any]]) -> tuple[int, int]:
    """Return how many rows and how many columns of a CSR matrix have an entry: the users and games that there are."""
    columns = int(indices.max(initial=-1)) + 1
    return int(np.count_nonzero(np.diff(indptr))), int(np.count_nonzero(column_counts(indices, columns)))
