"""What is compared: anything that scores every game for a user."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from recsys.marts import column_counts, column_sums
from recsys.models.fading import fading

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsys.marts.ratings import Ratings
    from recsys.models.taste import Taste

    Scores = npt.NDArray[np.float32]

POPULARITY = "popularity"
"""Name of the baseline that every candidate must beat."""
CONTENT = "content"
"""Name of the content model."""
CF = "cf"
"""Name of the candidate's collaborative filter."""
LATELY = "popular lately"
"""Name of the baseline of dated tables: what many have rated in the last months."""
CURRENT = "current recipe"
"""Name of the current release's collaborative filter, trained again on the same data."""


class Contender(Protocol):
    """A model that has learnt from the training part alone."""

    @property
    def name(self) -> str:
        """What tables and settings call it."""
        ...

    def scores(self, users: npt.NDArray[np.int32]) -> Scores:
        """Score all games for some users.

        Parameters
        ----------
        users
            int32, (n,): user codes of the split.

        Returns
        -------
        numpy.ndarray
            float32, (n, items): higher is better; finite. May be read-only.
        """
        ...


@dataclass(frozen=True)
class Popularity:
    """The same list for everybody: the games with the most ratings in the training part."""

    counts: Scores
    """float32, (items,): ratings of each game."""
    name: str = POPULARITY

    @classmethod
    def of(cls, train: Ratings) -> Popularity:
        """Count the training part's ratings."""
        items = train.matrix.shape[1]
        return cls(column_counts(train.matrix.indices, items).astype(np.float32))

    def scores(self, users: npt.NDArray[np.int32]) -> Scores:
        """Return the counts for each of ``users``; see :class:`Contender`."""
        return np.broadcast_to(self.counts, (len(users), len(self.counts)))


@dataclass(frozen=True)
class PopularLately:
    """The same list for everybody: the games with the most ratings, each of which counts half after a half-life."""

    faded: Scores
    """float32, (items,): faded ratings of each game."""
    half_life: float
    """Months."""
    name: str = LATELY

    @classmethod
    def of(cls, train: Ratings, half_life: float) -> PopularLately:
        """Count the training part's ratings, each by what is left of it."""
        assert train.rated_at is not None
        left = fading(train.rated_at, half_life)
        counts = column_sums(train.matrix.indices, left, train.matrix.shape[1])
        return cls(counts.astype(np.float32), half_life)

    def scores(self, users: npt.NDArray[np.int32]) -> Scores:
        """Return the counts for each of ``users``; see :class:`Contender`."""
        return np.broadcast_to(self.faded, (len(users), len(self.faded)))


@dataclass(frozen=True)
class Filter:
    """A collaborative filter, as its lists are ranked: factors, and what is added to them.

    Attributes
    ----------
    name
        What tables and settings call it.
    taste
        What ranks games for its users.
    """

    name: str
    taste: Taste = field(repr=False)

    def scores(self, users: npt.NDArray[np.int32]) -> Scores:
        """Return the scores; see :class:`Contender`."""
        return self.taste.scores(users)


@dataclass(frozen=True)
class Factors:
    """A model of factors: the inner product of a user's and a game's.

    Attributes
    ----------
    name
        What tables and settings call it.
    user_factors, item_factors
        float32, (users, factors) and (items, factors).
    """

    name: str
    user_factors: npt.NDArray[np.float32] = field(repr=False)
    item_factors: npt.NDArray[np.float32] = field(repr=False)

    def scores(self, users: npt.NDArray[np.int32]) -> Scores:
        """Return the inner products; see :class:`Contender`."""
        return self.user_factors[users] @ self.item_factors.T


@dataclass(frozen=True)
class ContentProfile:
    """The content model: a user is the mean embedding of the games they liked.

    A user who liked no game with an embedding has no profile: every game scores 0 for them, and so
    does a game without an embedding for everybody.

    Attributes
    ----------
    train
        The training part.
    embeddings
        float32, (items, dimension): unit rows in the order of ``train.items``; zero rows for games
        that the catalogue lacks.
    like_threshold
        From this rating on, a game counts as liked.
    """

    train: Ratings = field(repr=False)
    embeddings: npt.NDArray[np.float32] = field(repr=False)
    like_threshold: float
    name: str = CONTENT

    def scores(self, users: npt.NDArray[np.int32]) -> Scores:
        """Return profile · embedding; see :class:`Contender`."""
        liked = self.train.matrix[users]
        liked.data = (liked.data >= np.float32(self.like_threshold)).astype(np.float32)
        number = np.maximum(liked.sum(axis=1), 1.0)
        profiles = np.asarray(liked @ self.embeddings / number, dtype=np.float32)
        return profiles @ self.embeddings.T
