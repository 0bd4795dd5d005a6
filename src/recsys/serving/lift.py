"""What boosts add to scores, game by game, and rankings of scores that are lifted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recsys.ranking.top import top_k

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from recsys.ranking.scorer import Doubles, Floats, Ranked, Ranking

    Mask = npt.NDArray[np.bool_]
    Rows = npt.NDArray[np.intp]

KINDS = 16
"""Heights of lift up to which games of each are ranked by themselves."""


@dataclass(frozen=True, eq=False)
class Lift:
    """What is added to the scores of games.

    Attributes
    ----------
    values
        float64, (games,).
    kinds
        bool, (games,) each: the games that are lifted alike; None where they are more than :data:`KINDS`.
    """

    values: Doubles
    kinds: tuple[Mask, ...] | None

    @classmethod
    def of(cls, values: Doubles) -> Lift:
        """Return the lift of some values."""
        heights = np.unique(values)
        return cls(values, None if len(heights) > KINDS else tuple(values == height for height in heights))

    def times(self, number: float) -> Lift:
        """Return so many times the lift; not negative."""
        return Lift(number * self.values, self.kinds)

    def at(self, rows: Rows) -> Lift:
        """Return the lift of some games."""
        return Lift(self.values[rows], None if self.kinds is None else tuple(kind[rows] for kind in self.kinds))

    def added(self, scores: Floats, rows: Rows) -> Floats:
        """Return the scores of the games at some rows, lifted; rounded to float32 once."""
        lifted: Floats = (scores.astype(np.float64) + self.values[rows]).astype(np.float32)
        return lifted


def lifted(
    rank_among: Callable[[Mask], Ranking], scores: Callable[[Rows], Floats], allowed: Mask, lift: Lift
) -> Ranking:
    """Return the ranking of scores that are lifted.

    Of games that are lifted alike the best stay the best: the best of all are among the best of each kind.

    Parameters
    ----------
    rank_among
        From the games that may be listed to their ranking without the lift.
    scores
        From rows to these scores, float32.
    allowed
        bool, (games,): games that may be listed.
    lift
        What is added.
    """

    def rank(k: int) -> Ranked:
        if lift.kinds is None:
            rows = np.flatnonzero(allowed)
            plain = scores(rows)
        else:
            parts = [rank_among(allowed & kind)(k) for kind in lift.kinds]
            rows = np.concatenate([part[0] for part in parts])
            order = np.argsort(rows)
            rows, plain = rows[order], np.concatenate([part[1] for part in parts])[order]
        raised = lift.added(plain, rows)
        best = top_k(raised, k)
        return rows[best], raised[best]

    return rank
