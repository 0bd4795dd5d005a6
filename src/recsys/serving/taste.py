"""The taste side of a release: factors of users and games, and folding in people it has not seen.

Folding in solves a user's row of the objective that the factors were trained with (Hu, Koren and
Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", 2008, equations 4 and 6):
``A = α₀ YᵀY + Σ (c_i - α₀) y_i y_iᵀ + λ I`` and ``x = A⁻¹ Σ c_i y_i`` over the games i of the user.
The score of a game j is then a sum over the user's games, ``Σ c_i y_jᵀ A⁻¹ y_i``: what each of
them contributes is its share in the explanation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Objective:
    """What the factors of a release minimize, as its manifest says.

    Attributes
    ----------
    confidence
        ``liked``: a rating counts from ``like_threshold`` on, and then as 1; ``rating``: it counts
        as itself.
    like_threshold
        From this rating on, a game counts as liked.
    alpha
        Multiplies the confidence.
    regularization
        λ.
    unobserved
        α₀, the weight of a pair without a rating.
    """

    confidence: str
    like_threshold: float
    alpha: float
    regularization: float
    unobserved: float = 1.0

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Objective:
        """Read the section ``cf`` of the settings in a manifest."""
        names = ("confidence", "like_threshold", "alpha", "regularization")
        return cls(**{name: settings[name] for name in names})

    def weights(self, ratings: Floats) -> Floats:
        """Return the confidence c of each rating, float32; 0 where it does not count."""
        given = np.where(ratings >= self.like_threshold, 1, 0) if self.confidence == "liked" else ratings
        return np.float32(self.alpha) * given.astype(np.float32)


class Taste:
    """Folds users into the factors of a release.

    Parameters
    ----------
    item_factors
        float32, (items, factors): all rated games.
    objective
        What they minimize.
    """

    def __init__(self, item_factors: Floats, objective: Objective) -> None:
        self.item_factors = item_factors
        self.objective = objective
        exact = item_factors.astype(np.float64)
        self._gramian = exact.T @ exact

    def fold_in(self, items: npt.NDArray[np.integer[Any]], ratings: Floats) -> Floats:
        """Return the factors of a user with these ratings; zeros where none of them counts.

        Parameters
        ----------
        items
            (n,): codes of rated games.
        ratings
            float32, (n,).

        Returns
        -------
        numpy.ndarray
            float32, (factors,).
        """
        rows, confidence = self._counted(items, ratings)
        if not len(rows):
            return np.zeros(self.item_factors.shape[1], dtype=np.float32)
        return _solve(self._matrix(rows, confidence), rows.T @ confidence).astype(np.float32)

    def contributions(self, items: npt.NDArray[np.integer[Any]], ratings: Floats, targets: Floats) -> Floats:
        """Return what each rated game adds to the scores of some games.

        A row sums to the score of its game for the user that :meth:`fold_in` makes of the ratings.

        Parameters
        ----------
        items, ratings
            As for :meth:`fold_in`.
        targets
            float32, (games, factors).

        Returns
        -------
        numpy.ndarray
            float32, (games, n).
        """
        rows, confidence = self._counted(items, ratings)
        added = np.zeros((len(targets), len(items)), dtype=np.float32)
        if len(rows):
            spread = _solve(self._matrix(rows, confidence), targets.T.astype(np.float64))
            added[:, self.objective.weights(ratings) > 0] = (rows @ spread).T * confidence
        return added

    def _counted(
        self, items: npt.NDArray[np.integer[Any]], ratings: Floats
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        confidence = self.objective.weights(ratings)
        counts = confidence > 0
        return self.item_factors[items[counts]].astype(np.float64), confidence[counts].astype(np.float64)

    def _matrix(self, rows: npt.NDArray[np.float64], confidence: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        unobserved = self.objective.unobserved
        matrix: npt.NDArray[np.float64] = (
            unobserved * self._gramian + (rows * (confidence - unobserved)[:, None]).T @ rows
        )
        matrix.flat[:: len(matrix) + 1] += self.objective.regularization
        return matrix


def _solve(matrix: npt.NDArray[np.float64], right: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    try:
        solved = np.linalg.solve(matrix, right).astype(np.float64)
    except np.linalg.LinAlgError:
        # Without regularization, unused factors leave it singular: the smallest solution is meant.
        solved = np.linalg.lstsq(matrix, right, rcond=None)[0].astype(np.float64)
    return solved
