"""The taste side of a release: what ratings and likes say in its factors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from recsys.models.confidence import scale_top, weigh
from recsys.models.recipe import CfRecipe
from recsys.models.solvers import solver_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsys.models.folding import FoldIn
    from recsys.release.loading import LoadedRelease

    Floats = npt.NDArray[np.float32]


class Weights:
    """Turns the ratings of one release into confidences, as its training did.

    Parameters
    ----------
    release
        Its recipe and all of its ratings, whose scale counts.
    """

    def __init__(self, release: LoadedRelease) -> None:
        self._recipe = CfRecipe.from_json(release.recipe)
        self._top = scale_top(release.ratings)

    @property
    def like_threshold(self) -> float:
        """The rating from which on a game counts as liked."""
        return self._recipe.like_threshold

    def of(self, ratings: Floats) -> Floats:
        """Return the confidence of each rating, float32; not positive where it does not count."""
        weights = weigh(ratings, self._recipe.confidence, self._recipe.like_threshold, self._top)
        return weights * np.float32(solver_of(self._recipe).scale(self._recipe))


@dataclass(frozen=True, eq=False)
class Grounds:
    """What somebody's factors rest on: games with factors, and how sure each is.

    Attributes
    ----------
    folding
        Solves a user's row of the objective that the release was trained with.
    table
        float32, (any, factors): factors of games.
    rows
        (n,): rows of the table.
    confidence
        float32, (n,): only positive ones count.
    liked_at
        Place of each liked game in ``rows``; -1 where it has no factors.
    """

    folding: FoldIn
    table: Floats
    rows: npt.NDArray[np.integer]
    confidence: Floats
    liked_at: npt.NDArray[np.intp]

    @cached_property
    def factors(self) -> Floats:
        """float32, (factors,): folded in; zeros where nothing counts."""
        counts = self.confidence > 0
        return self.folding.user(self.table[self.rows[counts]], self.confidence[counts])

    def parts(self, targets: Floats) -> Floats:
        """Return what each liked game adds to the scores of some games.

        Parameters
        ----------
        targets
            float32, (games, factors).

        Returns
        -------
        numpy.ndarray
            float32, (games, liked).
        """
        counts = self.confidence > 0
        # The last column is that of a liked game without factors, which has no part.
        added = np.zeros((len(targets), len(self.rows) + 1), dtype=np.float32)
        added[:, :-1][:, counts] = self.folding.contributions(
            self.table[self.rows[counts]], self.confidence[counts], targets
        )
        return added[:, self.liked_at]
