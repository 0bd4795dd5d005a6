"""The taste side of a release: factors of users and games, and folding in people it has not seen.

Folding in solves a user's row of the very objective that the factors were trained with (see
:mod:`recsys.models.ials`; Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback
Datasets", 2008, equations 4 and 6): ``x = A⁻¹ Σ c_i y_i`` over the games i that the user has
rated, with ``A = α₀ YᵀY + Σ (c_i - o) y_i y_iᵀ + λ (Σ c_i + α₀·games)^ν I``, where o is α₀ for
implicit's objective and 0 for ours. The score of a game j is then a sum over the user's games,
``Σ c_i y_jᵀ A⁻¹ y_i``: what each of them contributes is its share in the explanation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.models.confidence import scale_top, weigh
from recsys.models.ials import Objective, table_size
from recsys.models.recipe import Entries, Recipe

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsys.release.loading import LoadedRelease

    Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Training:
    """How the factors of a release were trained, as far as folding in needs it.

    Attributes
    ----------
    recipe
        What the release was trained by.
    top
        Of the scale of its ratings.
    objective
        What its factors minimize.
    games
        How many games its sums run over; see :func:`recsys.models.ials.table_size`.
    """

    recipe: Recipe
    top: float
    objective: Objective
    games: int

    @classmethod
    def of(cls, release: LoadedRelease) -> Training:
        """Work out the objective anew from the recipe and the ratings, as training did."""
        recipe, top = Recipe.from_json(release.recipe), scale_top(release.ratings)
        if recipe.solver == "implicit":
            objective = Objective(recipe.regularization, 1.0, 0.0, "unrated")
            return cls(recipe, top, objective, table_size(release.indptr, release.indices)[1])
        weights = weigh(release.ratings, recipe.confidence, recipe.like_threshold, top)
        counts = weights > 0
        indptr = np.append(0, np.cumsum(counts))[release.indptr]
        entries = Entries(indptr, release.indices[counts], weights[counts])
        return cls(recipe, top, recipe.objective(entries), table_size(entries.indptr, entries.indices)[1])

    def weights(self, ratings: Floats) -> Floats:
        """Return the confidence c of each rating, float32; not positive where it does not count."""
        weights = weigh(ratings, self.recipe.confidence, self.recipe.like_threshold, self.top)
        return weights * np.float32(self.recipe.alpha) if self.recipe.solver == "implicit" else weights


class Taste:
    """Folds users into the factors of a release.

    Parameters
    ----------
    item_factors
        float32, (items, factors): all rated games.
    training
        How they were trained.
    """

    def __init__(self, item_factors: Floats, training: Training) -> None:
        self.item_factors = item_factors
        self.training = training
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
            added[:, self.training.weights(ratings) > 0] = (rows @ spread).T * confidence
        return added

    def _counted(
        self, items: npt.NDArray[np.integer[Any]], ratings: Floats
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        confidence = self.training.weights(ratings)
        counts = confidence > 0
        return self.item_factors[items[counts]].astype(np.float64), confidence[counts].astype(np.float64)

    def _matrix(self, rows: npt.NDArray[np.float64], confidence: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        objective = self.training.objective
        overlap = objective.unobserved if objective.overlap == "unrated" else 0.0
        matrix: npt.NDArray[np.float64] = objective.unobserved * self._gramian
        matrix += (rows * (confidence - overlap)[:, None]).T @ rows
        matrix.flat[:: len(matrix) + 1] += objective.ridge(confidence.sum(), self.training.games)
        return matrix


def _solve(matrix: npt.NDArray[np.float64], right: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    try:
        solved = np.linalg.solve(matrix, right).astype(np.float64)
    except np.linalg.LinAlgError:
        # Without regularization, unused factors leave it singular: the smallest solution is meant.
        solved = np.linalg.lstsq(matrix, right, rcond=None)[0].astype(np.float64)
    return solved
