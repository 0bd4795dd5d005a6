"""Small ratings of known making: groups of users who like the same games, or no taste at all."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from recsys.marts.ids import IdMap
from recsys.marts.ratings import Ratings


def ratings_of(
    users: npt.ArrayLike, items: npt.ArrayLike, values: npt.ArrayLike, times: npt.ArrayLike | None = None
) -> Ratings:
    """Build ratings from three columns of integer ids and ratings; the pairs are distinct."""
    users, items = np.asarray(users), np.asarray(items)
    maps = IdMap.of(np.unique(users).tolist()), IdMap.of(np.unique(items).tolist())
    rows = np.searchsorted(np.unique(users), users)
    columns = np.searchsorted(np.unique(items), items)
    order = np.lexsort((columns, rows))
    shape = (len(maps[0]), len(maps[1]))
    data = np.asarray(values, dtype=np.float32)[order]
    matrix = sp.csr_matrix((data, (rows[order], columns[order])), shape=shape, dtype=np.float32)
    dated = None if times is None else np.asarray(times, dtype=np.int64)[order]
    return Ratings(maps[0], maps[1], matrix, dated)


def triples(ratings: Ratings) -> set[tuple[int, int]]:
    """Return the (user id, game id) pairs of some ratings."""
    return pairs_of(ratings, ratings.matrix)


def pairs_of(ratings: Ratings, matrix: sp.csr_matrix) -> set[tuple[int, int]]:
    """Return the (user id, game id) pairs of a matrix with the rows and columns of some ratings."""
    places = matrix.tocoo()
    users, items = ratings.users.ids(), ratings.items.ids()
    return {(users[row], items[column]) for row, column in zip(places.row, places.col, strict=True)}  # type: ignore[misc]


def tastes(seed: int = 0, users: int = 600, items: int = 120, groups: int = 4, loyalty: float = 0.8) -> Ratings:
    """Make users who rate mostly games of their own group, and like those.

    Parameters
    ----------
    seed
        Of everything.
    users, items
        How many of each; about 20 ratings a user, popular games more often.
    groups
        Of taste; user u and game g belong to u mod groups and g mod groups.
    loyalty
        Share of a user's ratings within the group; with ``1 / groups`` there is no taste to learn.
    """
    draw = np.random.default_rng(seed)
    weight = np.where(
        np.arange(users)[:, None] % groups == np.arange(items) % groups, loyalty, (1 - loyalty) / (groups - 1)
    )
    odds = weight * (1.0 + np.arange(items)) ** -0.5
    odds *= 20.0 / odds.sum(axis=1, keepdims=True)
    rows, columns = np.nonzero(draw.random((users, items)) < odds)
    own = rows % groups == columns % groups
    values = np.clip(np.round(draw.normal(np.where(own, 8.0, 6.0), 1.2)), 1, 10)
    return ratings_of(rows + 1000, columns + 1, values)
