"""Mean and spread of inner products with all rows of a table, without computing any of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

_BLOCK = 4096


class Moments:
    """Mean and covariance of some vectors.

    Parameters
    ----------
    vectors
        float32, (n, dimension).
    """

    def __init__(self, vectors: Floats) -> None:
        count, dimension = max(len(vectors), 1), vectors.shape[1]
        mean = vectors.mean(axis=0, dtype=np.float64) if len(vectors) else np.zeros(dimension)
        covariance = np.zeros((dimension, dimension))
        for start in range(0, len(vectors), _BLOCK):
            centred = vectors[start : start + _BLOCK] - mean
            covariance += centred.T @ centred
        self._mean: Floats = mean.astype(np.float32)
        self._covariance: Floats = (covariance / count).astype(np.float32)

    def of(self, query: Floats) -> tuple[float, float]:
        """Return mean and standard deviation of the inner products of all vectors with one, float32 (dimension,)."""
        # Of one vector at a time, and without BLAS: the bits depend on nothing but it, and the tables are small.
        mean = np.einsum("i,i->", self._mean, query)
        variance = np.einsum("i,i->", np.einsum("ij,j->i", self._covariance, query), query)
        return float(mean), float(np.sqrt(max(float(variance), 1e-18)))
