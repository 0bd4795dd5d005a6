"""What somebody says of themselves: games that they like, have rated, or dislike; checked, and read by a release."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from recsys.errors import ArgumentError, ArgumentTypeError

if TYPE_CHECKING:
    from typing import Self

    import numpy.typing as npt

    from recsys.marts.ids import Id
    from recsys.serving.catalogue import Catalogue
    from recsys.serving.profiles import Weights

    Floats = npt.NDArray[np.float32]
    Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Visitor:
    """What somebody says of themselves.

    Attributes
    ----------
    likes
        Ids of games that they like.
    ratings
        From ids of games to their ratings of them, on the scale of the release's ratings.
    dislikes
        Ids of games that they do not like.

    Raises
    ------
    ArgumentTypeError
        If likes or dislikes are no list of ids, or ratings no mapping to numbers.
    """

    likes: Iterable[Id] = ()
    ratings: Mapping[Id, float] = field(default_factory=dict)
    dislikes: Iterable[Id] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "likes", _ids(self.likes, "likes"))
        object.__setattr__(self, "dislikes", _ids(self.dislikes, "dislikes"))
        if not isinstance(self.ratings, Mapping):
            raise ArgumentTypeError(
                f"ratings = {self.ratings!r:.60}: a mapping from game ids to numbers is expected, such as {{13: 9}}"
            )
        object.__setattr__(self, "ratings", dict(self.ratings))

    @classmethod
    def of(cls, said: Visitor | Iterable[Id]) -> Self | Visitor:
        """Return a visitor as they are, or one who likes some games."""
        return said if isinstance(said, Visitor) else cls(said)


def _ids(given: Iterable[Id], name: str) -> tuple[Id, ...]:
    if isinstance(given, Mapping):
        raise ArgumentTypeError(
            f"{name} are a mapping, {given!r:.60}, and its numbers would go unread: give them as ratings={{id: rating}}"
        )
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise ArgumentTypeError(f"{name} = {given!r:.60}: a list of game ids is expected, such as [13, 822]")
    return tuple(given)


class Said(NamedTuple):
    """What a visitor says, read by a release.

    Attributes
    ----------
    rows
        (n,): rows of the games that they like or rated, ascending.
    confidence
        float32, (n,): how sure each is, as the objective weighs it; not positive where it does not count.
    liked
        bool, (n,): which of them they like; a rating from the release's threshold on is a like.
    rated
        bool, (n,): which of them they rated.
    disliked
        Rows of the games that they do not like, ascending.
    """

    rows: Rows
    confidence: Floats
    liked: npt.NDArray[np.bool_]
    rated: npt.NDArray[np.bool_]
    disliked: Rows

    @property
    def seen(self) -> Rows:
        """Rows of all games that were named."""
        return np.concatenate((self.rows, self.disliked))


def read(visitor: Visitor, catalogue: Catalogue, weights: Weights, like: float) -> Said:
    """Read what a visitor says, as the training of a release would have.

    Parameters
    ----------
    visitor
        Who.
    catalogue, weights
        The games and confidences of the release.
    like
        Confidence of a like that is no rating.

    Raises
    ------
    NotInModel
        If the catalogue does not have a game.
    ArgumentError
        If a game is named in two ways, or a rating is none of the release's scale.
    """
    likes = [catalogue.row(id_) for id_ in visitor.likes]
    rated = [catalogue.row(id_) for id_ in visitor.ratings]
    dislikes = [catalogue.row(id_) for id_ in visitor.dislikes]
    if rated or dislikes:
        _check_apart(catalogue, likes, rated, dislikes)
    liked = np.unique(np.array(likes, dtype=np.intp))
    if not rated:
        sure, yes = np.full(len(liked), like, dtype=np.float32), np.ones(len(liked), dtype=bool)
        return Said(liked, sure, yes, ~yes, np.unique(np.array(dislikes, dtype=np.intp)))
    ratings = _ratings(visitor.ratings, weights)
    rows = np.concatenate((liked, np.array(rated, dtype=np.intp)))
    confidence = np.concatenate((np.full(len(liked), like, dtype=np.float32), weights.of(ratings)))
    speak = np.concatenate((np.ones(len(liked), dtype=bool), ratings >= weights.like_threshold))
    order = np.argsort(rows, kind="stable")
    return Said(
        rows[order],
        confidence[order],
        speak[order],
        order >= len(liked),
        np.unique(np.array(dislikes, dtype=np.intp)),
    )


def _check_apart(catalogue: Catalogue, likes: list[int], rated: list[int], dislikes: list[int]) -> None:
    kinds: dict[int, str] = {}
    for name, rows in (("likes", set(likes)), ("ratings", rated), ("dislikes", set(dislikes))):
        for row in rows:
            if row in kinds:
                raise ArgumentError(
                    f"game {catalogue.ids[row]!r} is named in {kinds[row]} and in {name}: once is expected"
                )
            kinds[row] = name


def _ratings(given: Mapping[Id, float], weights: Weights) -> Floats:
    low, top = weights.scale
    for id_, rating in given.items():
        fits = _is_number(rating)
        if not fits or not low <= rating <= top:  # NaN is not
            raise (ArgumentError if fits else ArgumentTypeError)(
                f"the rating of game {id_!r} is {rating!r:.60}: a number from {low:g} to {top:g} is expected, as the"
                " ratings of this release are"
            )
    return np.array([float(rating) for rating in given.values()], dtype=np.float32)


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
