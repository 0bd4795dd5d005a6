"""Factors for a user whom training has not seen, from what they liked: folding in.

This is what to call instead of implicit's ``recalculate_user``, which minimizes implicit's own
objective (α₀ = 1, a constant λ) and does not match factors that were trained for another. It needs
numpy alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class FoldIn:
    """Solves one user's row of the objective for fixed game factors, exactly.

    The row minimizes ``Σ c (1 - x·y)² + α₀ Σ_all (x·y)² + ridge · |x|²`` with
    ``ridge = λ (Σ c + α₀·games)^ν``; see :mod:`recsys.models.ials`. With ``overlap`` = α₀ the second
    sum leaves out the rated games, as in implicit.

    Attributes
    ----------
    trained
        float32, (games, factors): factors of the games that training knew.
    unobserved
        α₀.
    regularization
        λ.
    exponent
        ν.
    overlap
        Weight of the unobserved that a rated game does not carry: 0, or α₀ with implicit.
    confidence
        Of a game that is liked, when no other is given.
    """

    trained: npt.NDArray[np.float32] = field(repr=False)
    unobserved: float
    regularization: float
    exponent: float
    overlap: float = 0.0
    confidence: float = 1.0

    @cached_property
    def _gramian(self) -> npt.NDArray[np.float64]:
        factors = self.trained.astype(np.float64)
        return self.unobserved * (factors.T @ factors)

    @property
    def games(self) -> int:
        """Games with factors; those without have no part in the second sum."""
        return int(np.count_nonzero(self.trained.any(axis=1)))

    def user(
        self, liked: npt.NDArray[np.float32], confidence: Sequence[float] | npt.NDArray[np.float32] | None = None
    ) -> npt.NDArray[np.float32]:
        """Return a user's factors.

        Parameters
        ----------
        liked
            float32, (n, factors): factors of the games that they liked; also of games that training
            did not know.
        confidence
            (n,), positive: how sure each like is; :attr:`confidence` for each when not given.

        Returns
        -------
        numpy.ndarray
            float32, (factors,); zero for somebody who liked nothing.
        """
        y = liked.astype(np.float64)
        c = np.full(len(y), self.confidence) if confidence is None else np.asarray(confidence, dtype=np.float64)
        ridge = self.regularization * (c.sum() + self.unobserved * self.games) ** self.exponent
        normal = self._gramian + y.T @ ((c - self.overlap)[:, None] * y)
        normal[np.diag_indices(len(normal))] += ridge
        return np.linalg.solve(normal, y.T @ c).astype(np.float32)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return all but the factors, for an ``.npz`` file."""
        numbers = (self.unobserved, self.regularization, self.exponent, self.overlap, self.confidence)
        return {"fold_in": np.array(numbers, dtype=np.float64)}

    @classmethod
    def of(cls, trained: npt.NDArray[np.float32], arrays: dict[str, npt.NDArray[Any]]) -> Self:
        """Rebuild from what :meth:`arrays` returned."""
        return cls(trained, *(float(number) for number in arrays["fold_in"]))
