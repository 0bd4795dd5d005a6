"""EASE, a dense item-item model without factors: what a collaborative filter has to reach.

Harald Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019. It needs an inverse of
games × games in memory, and a product with everybody's ratings to answer: a benchmark only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    import scipy.sparse as sp

LAMBDAS = (30.0, 100.0, 300.0, 1000.0, 3000.0)


@dataclass(frozen=True)
class Ease:
    """A contender of :mod:`recsys.evaluation.contenders`."""

    name: str
    ratings: sp.csr_matrix = field(repr=False)
    weights: npt.NDArray[np.float32] = field(repr=False)

    def scores(self, users: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
        """Return the users' rows times the item-item weights."""
        return np.asarray(self.ratings[users] @ self.weights, dtype=np.float32)


def ease_of(ratings: sp.csr_matrix, like_threshold: float) -> Iterator[Ease]:
    """Yield EASE for liked and for any ratings, with every λ."""
    for name, least in (("liked", like_threshold), ("any", -np.inf)):
        kept = ratings.copy()
        kept.data = (kept.data >= least).astype(np.float32)
        kept.eliminate_zeros()
        gramian: npt.NDArray[Any] = (kept.T @ kept).toarray().astype(np.float64)
        for penalty in LAMBDAS:
            inverse = np.linalg.inv(gramian + penalty * np.eye(len(gramian)))
            weights = -inverse / np.diag(inverse)
            np.fill_diagonal(weights, 0)
            yield Ease(f"ease {name} λ={penalty:g}", kept, weights.astype(np.float32))
