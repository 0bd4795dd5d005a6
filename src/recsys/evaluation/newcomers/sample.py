"""The ratings that newcomers are tried on: of some users, for games that the catalogue has."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from recsys.evaluation.holdout import part
from recsys.marts.ids import IdMap
from recsys.marts.ratings import Ratings
from recsys.models.hybrid import HybridRecommender
from recsys.ranking.hashing import id_hashes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt
    import scipy.sparse as sp

    from recsys.marts.catalogue import Catalogue
    from recsys.models.cf import CollaborativeFilter

Train: TypeAlias = "Callable[[Ratings], CollaborativeFilter]"
"""Trains a collaborative filter on ratings."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Ratings with what is known of their games.

    Attributes
    ----------
    ratings
        Every user and every game in them has some.
    vectors
        float32, (games, dimension): unit embeddings, in the order of ``ratings.items``.
    tags
        The tags of each game, in the order of ``vectors``.
    like_threshold
        From this rating on, a game counts as liked.
    """

    ratings: Ratings
    vectors: npt.NDArray[np.float32] = field(repr=False)
    tags: Sequence[Sequence[str]] = field(repr=False)
    like_threshold: float

    @classmethod
    def of(cls, ratings: Ratings, content: Catalogue, like_threshold: float, *, seed: int, at_most: int) -> Sample:
        """Draw whole users by the hash of their ids, and leave out games that the catalogue lacks.

        Parameters
        ----------
        ratings
            Ratings that may be learnt from.
        content
            The catalogue.
        like_threshold
            From this rating on, a game counts as liked.
        seed
            Seed of the draw.
        at_most
            How many ratings are drawn at most.
        """
        places = content.places(ratings.items)
        known = part(ratings.matrix, places[ratings.matrix.indices] >= 0)
        order = np.argsort(id_hashes(ratings.users, "newcomer sample", seed), kind="stable")
        sizes = np.diff(known.indptr)[order]
        users = np.sort(order[(sizes > 0) & (np.cumsum(sizes) <= at_most)])
        matrix = known[users]
        games = np.unique(matrix.indices)
        maps = IdMap.of(ratings.users.ids(users)), IdMap.of(ratings.items.ids(games))
        rows = places[games]
        return cls(
            Ratings(*maps, matrix[:, games]), content.vectors[rows], [content.tags[row] for row in rows], like_threshold
        )

    @property
    def liked(self) -> sp.csr_matrix:
        """CSR, float32, (users, games): 1 where a game is liked."""
        matrix = self.ratings.matrix
        liked = part(matrix, matrix.data >= np.float32(self.like_threshold))
        liked.data[:] = 1
        return liked

    def draw(self, users: npt.NDArray[np.int64], at_most: int, purpose: str, seed: int) -> npt.NDArray[np.int32]:
        """Return the users with the lowest hashes, int32, ascending: the same ones when other users come or go."""
        hashes = id_hashes(self.ratings.users, purpose, seed)[users]
        return np.sort(users[np.argsort(hashes, kind="stable")[:at_most]]).astype(np.int32)

    def without(self, entries: npt.NDArray[np.bool_]) -> Ratings:
        """Return the ratings without some; ``entries``, bool, is aligned with the matrix's data."""
        return replace(self.ratings, matrix=part(self.ratings.matrix, ~entries))

    def hybrid(self, model: CollaborativeFilter) -> HybridRecommender:
        """Return the hybrid of a filter that was trained on a part of the ratings; its rows are the games."""
        codes = np.arange(len(self.ratings.items), dtype=np.int32)
        return HybridRecommender().fit(model, codes, self.vectors, self.tags)

    def description(self) -> dict[str, int]:
        """Return the sample's size, ready for JSON."""
        users, games = self.ratings.matrix.shape
        return {"ratings": int(self.ratings.matrix.nnz), "users": users, "games": games}
