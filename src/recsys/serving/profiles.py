"""What is known of one person: what their factors rest on, and how their scores follow from them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from recsys.models.confidence import scale_top, weigh
from recsys.models.recipe import CfRecipe
from recsys.models.solvers import solver_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsys.models.folding import FoldIn
    from recsys.models.taste import Beside, Blending, Line
    from recsys.release.loading import LoadedRelease

    Floats = npt.NDArray[np.float32]
    Rows = npt.NDArray[np.intp]


NOTHING = np.zeros(0, dtype=np.intp)


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
        self._lowest = float(release.ratings.min(initial=1.0))  # no higher: of a small table, nobody may have rated low

    @property
    def like_threshold(self) -> float:
        """The rating from which on a game counts as liked."""
        return self._recipe.like_threshold

    @property
    def scale(self) -> tuple[float, float]:
        """The lowest and the highest rating that a visitor may give: the ends of the scale that this table is on."""
        return self._lowest, self._top

    def of(self, ratings: Floats) -> Floats:
        """Return the confidence of each rating, float32; not positive where it does not count."""
        weights = weigh(ratings, self._recipe.confidence, self._recipe.like_threshold, self._top)
        return self.scaled(weights)

    def scaled(self, confidence: Floats) -> Floats:
        """Return confidences as the solver's objective weighs them."""
        return confidence * np.float32(solver_of(self._recipe).scale(self._recipe))

    def plain(self, confidence: Floats) -> Floats:
        """Return what :meth:`scaled` scaled."""
        return confidence / np.float32(solver_of(self._recipe).scale(self._recipe))


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
    preference
        float32, (n,): 1 for a game that speaks for somebody, -1 for one that they dislike; None where none is disliked.
    """

    folding: FoldIn
    table: Floats
    rows: npt.NDArray[np.integer]
    confidence: Floats
    liked_at: npt.NDArray[np.intp]
    preference: Floats | None = None

    @cached_property
    def factors(self) -> Floats:
        """float32, (factors,): folded in; zeros where nothing speaks for somebody."""
        counts = self.confidence > 0
        if self.preference is not None and not (self.preference[counts] > 0).any():
            counts[:] = False
        return self.folding.user(self.table[self.rows[counts]], self.confidence[counts], self._preference(counts))

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
            self.table[self.rows[counts]], self.confidence[counts], targets, self._preference(counts)
        )
        return added[:, self.liked_at]

    def _preference(self, counts: npt.NDArray[np.bool_]) -> Floats | None:
        return None if self.preference is None else self.preference[counts]


@dataclass(frozen=True)
class Profile:
    """What is known of a person.

    Attributes
    ----------
    liked
        Rows of the games that speak for them.
    seen
        Rows of the games that are not suggested again.
    n_ratings
        On how many ratings and likes their taste rests.
    taste, hybrid
        What their factors rest on: rated games, and games of the whole catalogue.
    blending, beside
        What puts their scores together, and what is added to what their factors say; None for nothing.
    own
        float32, (factors,): those of a user of the release; None for a visitor.
    mean_user
        float32, (factors,): what is added to a visitor's factors by taste; None for nothing.
    rated, sure
        (n,), float32 (n,): items behind ``taste``, and the confidence of each as trained.
    """

    liked: Rows
    seen: Rows
    n_ratings: int
    taste: Grounds
    hybrid: Grounds
    blending: Blending
    beside: Beside | None = None
    own: Floats | None = None
    mean_user: Floats | None = None
    rated: npt.NDArray[np.integer] = field(default_factory=lambda: NOTHING)
    sure: Floats = field(default_factory=lambda: NOTHING.astype(np.float32))

    @cached_property
    def factors(self) -> Floats:
        """float32, (factors,): by rated games; zeros without a taste."""
        if self.own is not None:
            return self.own
        folded = self.taste.factors
        return folded if self.mean_user is None or not folded.any() else folded + self.mean_user

    @cached_property
    def line(self) -> Line:
        """How scores by taste follow from inner products."""
        return self.blending.line_of(self.factors, self.beside)

    @cached_property
    def hybrid_factors(self) -> Floats:
        """float32, (factors,): by games of the whole catalogue; zeros without a taste."""
        return self.hybrid.factors if self.own is None else self.own

    def slim(self) -> Profile:
        """Return what reasons need, without a number for each game."""
        return self if self.beside is None else replace(self, beside=self.beside._replace(added=np.zeros(0)))
