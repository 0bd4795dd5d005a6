"""The people of a release, and visitors: what their ratings and likes say."""

from __future__ import annotations

from copy import copy
from math import exp
from typing import TYPE_CHECKING

import numpy as np

from recsys.models.confidence import confidence_of
from recsys.models.hybrid import MEAN_SHARE
from recsys.models.item_item import ItemItem
from recsys.models.recipe import CfRecipe
from recsys.models.solvers import solver_of
from recsys.models.taste import Blending
from recsys.models.users import FoldedUsers, TrainedUsers
from recsys.release.arrays import InteractionsFile
from recsys.serving.catalogue import id_from
from recsys.serving.profiles import Grounds, Profile, Weights
from recsys.serving.spellings import did_you_mean
from recsys.serving.visitors import read

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsys.marts.ids import Id
    from recsys.models.hybrid import HybridRecommender
    from recsys.models.users import UserFactors
    from recsys.release.loading import LoadedRelease
    from recsys.serving.catalogue import Catalogue
    from recsys.serving.taste import TasteSpace
    from recsys.serving.visitors import Said, Visitor

    Floats = npt.NDArray[np.float32]
    Rows = npt.NDArray[np.intp]


DISLIKE = 0.25
"""Confidence of a dislike, as a share of a like's. On board games a quarter takes a good part of the badly rated games
out of the lists and costs next to no liked ones, half costs five times as many; ``docs/quality.md``."""


FADES = 20
"""With so many ratings and likes, e times less of the mean user is added by taste to somebody who rates: the more they
rated, the nearer their list is to a user's with these ratings. Of likes alone, all of its share is."""


class People:
    """Tells what a release knows of its users, and of who likes some games.

    Parameters
    ----------
    release
        Its users and their ratings.
    taste
        The factors of its games, by item and by row of the catalogue.
    hybrid
        The factors of all games.
    """

    def __init__(self, release: LoadedRelease, taste: TasteSpace, hybrid: HybridRecommender) -> None:
        self.users = release.users
        self._weights = Weights(release)
        self._taste, self._hybrid = taste, hybrid
        # Not the release itself, whose index would be a second one where the vectors are shared.
        self._item_factors, self._ratings = release.item_factors, release.ratings
        file = release.item_item
        recipe = CfRecipe.from_json(release.recipe)
        stored = InteractionsFile(release.indptr, release.indices, release.ratings, release.confidence)
        self._indptr, self._indices, self._sure = release.indptr, release.indices, confidence_of(stored, recipe)
        self.factors: UserFactors = (
            FoldedUsers(
                hybrid.folding,
                release.item_factors,
                release.indptr,
                release.indices,
                self._sure,
                solver_of(recipe).scale(recipe),
            )
            if release.user_factors is None
            else TrainedUsers(release.user_factors)
        )
        self.blending = Blending(release.item_factors, None if file is None else ItemItem.of(file), recipe.item_weight)

    @property
    def like_threshold(self) -> float:
        """The rating from which on a game counts as liked."""
        return self._weights.like_threshold

    def user_id(self, text: str) -> Id | None:
        """Return the user id that a text spells; None if it can be none."""
        return id_from(text, integer=self.users.kind == "integer")

    def user(self, user_id: object) -> Profile | None:
        """Return what the release knows of a user, or None."""
        code = self.users.code_of(user_id)
        return None if code is None else self.at(code)

    def at(self, code: int, factors: Floats | None = None) -> Profile:
        """Return what the release knows of the user with a code; ``factors`` are theirs, where they were asked for."""
        rated = slice(self._indptr[code], self._indptr[code + 1])
        items, ratings, sure = self._indices[rated], self._ratings[rated], self._sure[rated]
        rows = self._taste.row_of_item[items]
        liked_at = np.flatnonzero((ratings >= self._weights.like_threshold) & (rows >= 0))
        grounds = self._grounds(self._item_factors, items, self._weights.scaled(sure), liked_at)
        return Profile(
            rows[liked_at],
            rows[rows >= 0],
            len(items),
            grounds,
            grounds,
            self.blending,
            self.blending.beside(items, sure),
            own=self.factors.of(code) if factors is None else factors,
            rated=items,
            sure=sure,
        )

    def unknown(self, user_id: object) -> str:
        """Return what to say of a user that the release does not know."""
        return f"user {user_id!r} is not among the {len(self.users):,} users of this release{self.hint(user_id)}"

    def hint(self, asked: object) -> str:
        """Return the end of a message about an unknown id: the known one that is spelled otherwise; else nothing."""
        return did_you_mean(asked, self.users.__contains__)

    def read(self, visitor: Visitor, catalogue: Catalogue) -> Said:
        """Read what a visitor says; errors are those of :func:`recsys.serving.visitors.read`."""
        return read(visitor, catalogue, self._weights, self._hybrid.folding.confidence)

    def visitor(self, said: Said) -> Profile:
        """Return the profile of somebody who likes, has rated or dislikes some games."""
        liked, rows, preference = said.rows[said.liked], said.rows, None
        sure = said.confidence
        if len(said.disliked):
            rows = np.concatenate((rows, said.disliked))
            against = np.full(len(said.disliked), DISLIKE * self._hybrid.folding.confidence, dtype=np.float32)
            sure = np.concatenate((sure, against))
            preference = np.where(np.arange(len(rows)) < len(said.rows), np.float32(1), np.float32(-1))
        items = self._taste.item_of_row[rows]
        rated = items >= 0
        place = np.where(rated, np.cumsum(rated) - 1, -1)
        speaks = np.flatnonzero(said.liked)
        known, trusted = items[rated], self._weights.plain(sure[rated])
        known_preference = None if preference is None else preference[rated]
        taste = self._grounds(self._item_factors, known, sure[rated], place[speaks], known_preference)
        hybrid = self._grounds(self._hybrid.factors, rows, sure, speaks, preference)
        n_ratings = int(np.count_nonzero(rated[: len(said.rows)]))
        share = MEAN_SHARE * exp(-n_ratings / FADES) if said.rated.any() else MEAN_SHARE
        beside = self.blending.beside(known, trusted, share, known_preference)
        mean_user = None if beside is None else np.float32(share) * self._hybrid.mean_user
        return Profile(
            liked,
            said.seen,
            n_ratings,
            taste,
            hybrid,
            self.blending,
            beside,
            mean_user=mean_user,
            rated=known,
            sure=trusted,
        )

    def said(self, profile: Profile, items: npt.NDArray[np.integer]) -> Floats:
        """Return what each liked game says for some items, as a part of their scores.

        Parameters
        ----------
        profile
            Whose liked games.
        items
            int, (n,): -1 for a game without ratings.

        Returns
        -------
        numpy.ndarray
            float32, (n, liked).
        """
        parts = np.zeros((len(items), len(profile.liked)), dtype=np.float32)
        if self.blending.item_item is None or profile.beside is None or not profile.beside.per_word:
            return parts
        known, placed = items >= 0, profile.taste.liked_at >= 0
        places = profile.taste.liked_at[placed]
        words = self.blending.item_item.matrix.words(profile.rated[places], items[known])
        parts[np.ix_(known, placed)] = np.float32(profile.beside.per_word) * profile.sure[places] * words
        return parts

    def compiled(self) -> People:
        """Return the same people, whose profiles are made faster, to the same bit; it needs numba."""
        people = copy(self)
        people.blending = self.blending.compiled()
        return people

    def prepare(self) -> None:
        """Build what the first question would build."""
        self.factors.prepare()

    def _grounds(
        self,
        table: Floats,
        rows: npt.NDArray[np.integer],
        confidence: Floats,
        liked_at: Rows,
        preference: Floats | None = None,
    ) -> Grounds:
        return Grounds(self._hybrid.folding, table, rows, confidence, liked_at, preference)
