"""Factors for a user whom training has not seen, from what they liked: folding in.

This is what to call instead of implicit's ``recalculate_user``, which minimizes implicit's own
objective (α₀ = 1, a constant λ) and does not match factors that were trained for another. It needs
numpy alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import scipy.sparse as sp

    from recsys.models.cf import CollaborativeFilter
    from recsys.models.recipe import CfRecipe


@dataclass(frozen=True, eq=False)
class FoldIn:
    """Solves one user's row of the objective for fixed game factors, exactly.

    The row minimizes ``Σ c (p - x·y)² + α₀ Σ_all (x·y)² + ridge · |x|²`` with p = 1, -1 for what somebody dislikes, and
    ``ridge = λ (Σ c + α₀·games)^ν``; see :mod:`recsys.models.solvers.ials`. With ``overlap`` = α₀ the second
    sum leaves out the rated games, as in implicit.

    Attributes
    ----------
    gramian
        float64, (factors, factors): α₀ Σ y yᵀ over all games that were trained on.
    floor
        α₀ times the number of games that the solver's objective knows.
    regularization
        λ.
    exponent
        ν.
    overlap
        Weight of the unobserved that a rated game does not carry: 0, or α₀ with implicit.
    confidence
        Confidence of a game that is liked, when no other is given.
    """

    gramian: npt.NDArray[np.float64] = field(repr=False)
    floor: float
    regularization: float
    exponent: float
    overlap: float
    confidence: float

    @classmethod
    def of(cls, model: CollaborativeFilter) -> Self:
        """Take the objective from a trained model; a like counts as the mean of those it was trained on."""
        from recsys.models.confidence import stored
        from recsys.models.solvers import solver_of
        from recsys.models.solvers.blocks import gramian

        recipe, solver = model.recipe, solver_of(model.recipe)
        weights = stored(model.ratings, model.confidence)
        like = solver.scale(recipe) * _mean_like(model.ratings, recipe)
        objective = solver.objective(recipe, weights)
        alpha = objective.unobserved
        squares = gramian(model.item_factors, exact=True)
        _, games = solver.table_size(weights)
        overlap = alpha if objective.overlap == "unrated" else 0.0
        return cls(alpha * squares, alpha * games, objective.regularization, objective.exponent, overlap, like)

    def user(
        self,
        liked: npt.NDArray[np.float32],
        confidence: Sequence[float] | npt.NDArray[np.float32] | None = None,
        preference: npt.NDArray[np.float32] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Return a user's factors, or those of many users who liked the same number of games.

        Parameters
        ----------
        liked
            float32, (..., n, factors): factors of the games that they liked; also of games that
            training did not know.
        confidence
            (..., n), positive: how sure each like is; :attr:`confidence` for each when not given.
        preference
            float32, (..., n): p, 1 for a game that they like and -1 for one that they dislike; all 1 when not given.

        Returns
        -------
        numpy.ndarray
            float32, (..., factors); zero for somebody who liked nothing.
        """
        y = liked.astype(np.float64)
        c = np.full(y.shape[:-1], self.confidence) if confidence is None else np.asarray(confidence, dtype=np.float64)
        pull = c if preference is None else c * preference
        return self._solved(y, c, y.swapaxes(-1, -2) @ pull[..., None])[..., 0].astype(np.float32)

    def contributions(
        self,
        liked: npt.NDArray[np.float32],
        confidence: npt.NDArray[np.float32],
        targets: npt.NDArray[np.float32],
        preference: npt.NDArray[np.float32] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Return what each liked game adds to the scores of some games, for one user.

        The score of a game y is ``y·A⁻¹ Σ c_i p_i y_i``, with A the row's matrix: a sum over the liked games
        (Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", 2008, section 5).

        Parameters
        ----------
        liked, confidence, preference
            What one user liked, as :meth:`user` takes it.
        targets
            float32, (games, factors).

        Returns
        -------
        numpy.ndarray
            float32, (games, n): a row sums to the score of its game for what :meth:`user` returns.
        """
        y, c = liked.astype(np.float64), np.asarray(confidence, dtype=np.float64)
        pull = c if preference is None else c * preference
        added: npt.NDArray[np.float32] = ((y @ self._solved(y, c, targets.T.astype(np.float64))).T * pull).astype(
            np.float32
        )
        return added

    def turned(self, factors: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return games' factors in the Gramian's eigenbasis, for :meth:`of_turned`; float64, (games, factors)."""
        return factors.astype(np.float64) @ self._eigen[1]

    def of_turned(self, liked: npt.NDArray[np.float64], confidence: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return one user's factors as :meth:`user` does, faster where the same games are asked for again and again.

        Parameters
        ----------
        liked
            float64, (n, factors): rows of what :meth:`turned` returned.
        confidence
            float32, (n,), positive.
        """
        c = confidence.astype(np.float64)
        return (self._eigen[1] @ self._solved_turned(liked, c, (c @ liked)[:, None])[:, 0]).astype(np.float32)

    def _solved(
        self, y: npt.NDArray[np.float64], c: npt.NDArray[np.float64], right: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Return ``A⁻¹ right``; A is the gramian, the ridge and ``Yᵀ diag(c - overlap) Y`` for each user."""
        basis = self._eigen[1]
        solved: npt.NDArray[np.float64] = basis @ self._solved_turned(y @ basis, c, basis.T @ right)
        return solved

    def _solved_turned(
        self, z: npt.NDArray[np.float64], c: npt.NDArray[np.float64], right: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Return :meth:`_solved` in the eigenbasis, of factors and a right side that are in it."""
        values = self._eigen[0]
        usual = values + (self.regularization * (c.sum(axis=-1) + self.floor) ** self.exponent)[..., None]
        weights = (c - self.overlap)[..., None]
        if z.shape[-2] >= z.shape[-1] or usual.min(initial=np.inf) < 1e-9 * max(values[-1], 1e-300):
            normal = z.swapaxes(-1, -2) @ (weights * z)
            places = np.arange(len(values))
            normal[..., places, places] += usual
            return _divided(normal, right)
        # Few likes are a small change to a diagonal: Woodbury's identity.
        without = right / usual[..., None]
        spread = z.swapaxes(-1, -2) / usual[..., None]
        small = np.eye(z.shape[-2]) + weights * (z @ spread)
        solved: npt.NDArray[np.float64] = without - spread @ np.linalg.solve(small, weights * (z @ without))
        return solved

    @cached_property
    def _eigen(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        values, basis = np.linalg.eigh(self.gramian)
        return np.maximum(values, 0), basis

    def prepare(self) -> None:
        """Work out at once what the first user would need."""
        _ = self._eigen

    def numbers(self) -> npt.NDArray[np.float64]:
        """Return everything but the Gramian, float64, (5,), as ``hybrid.npz`` keeps it."""
        numbers = (self.floor, self.regularization, self.exponent, self.overlap, self.confidence)
        return np.array(numbers, dtype=np.float64)

    @classmethod
    def from_numbers(cls, gramian: npt.NDArray[np.float64], numbers: npt.NDArray[np.float64]) -> Self:
        """Rebuild from the Gramian, (factors, factors), and what :meth:`numbers` returned."""
        return cls(gramian, *(float(number) for number in numbers))


def _divided(normal: npt.NDArray[np.float64], right: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    try:
        solved = np.linalg.solve(normal, right)
    except np.linalg.LinAlgError:
        # Without regularization, unused factors leave it singular: the smallest solution is meant.
        solved = np.linalg.pinv(normal, hermitian=True) @ right
    return solved.astype(np.float64, copy=False)


def _mean_like(ratings: sp.csr_matrix, recipe: CfRecipe) -> float:
    """Return the mean confidence of the ratings that are likes, ageless as a visitor's likes are; 1 where none is."""
    from recsys.models.confidence import scale_top, weigh
    from recsys.models.solvers.blocks import blocks, summed

    top = scale_top(ratings.data)
    threshold = recipe.like_threshold if recipe.confidence == "rating" else 1.0

    def part(block: tuple[int, int]) -> npt.NDArray[np.float64]:
        some = ratings.data[slice(*ratings.indptr[list(block)])]
        confidence = weigh(some, recipe.confidence, recipe.like_threshold, top)
        liked = confidence[confidence >= threshold]
        return np.array([liked.sum(dtype=np.float64), len(liked)])

    likes, number = summed(part, blocks(ratings.shape[0]), (2,))
    return float(likes / number) if number else 1.0
