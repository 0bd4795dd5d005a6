"""What a few users get: five of them, from the least to the most active, without their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import numpy as np

from recsys.marts import row_counts
from recsys.ranking.top import top_k
from recsys.report.missing import Missing, shown, taste

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsys.report.contents import Contents, Taste

_USERS = 5
_LIKED, _RECOMMENDED = 8, 8
_ENOUGH = 5
"""Games that a sample user must have liked: fewer say nothing about a taste."""
_THRESHOLD = 7.0
"""Counts as liked where the settings of the release do not say."""


class SampleUser(TypedDict):
    """A user under an alias: how many games were rated and liked, the best liked with their ratings, and the list."""

    alias: str
    rated: int
    liked_number: int
    liked: list[tuple[str, float]]
    recommended: list[str]


class Samples(TypedDict):
    """The sample users, and the rating from which on a game counts as liked."""

    users: list[SampleUser]
    threshold: float


def samples(release: Contents, _: Contents | None) -> Samples:
    """Return five users with what they liked best and what they are recommended."""
    catalogue, half = shown(release), taste(release)
    threshold = _threshold(release)
    if half.folded is None:
        raise Missing("This folder holds ratings and factors alone: nothing says what its users get.")
    chosen = _chosen(half, threshold)
    if not len(chosen):
        raise Missing(f"Nobody liked {_ENOUGH} games: there is no taste to show.")
    names = dict(zip(catalogue.ids, catalogue.names, strict=True))
    titles = [names.get(id_, f"game {id_}") for id_ in half.items.ids()]
    return {"users": [_user(half, user, titles, threshold) for user in chosen], "threshold": threshold}


def _threshold(release: Contents) -> float:
    metrics = release.metrics
    settings = () if metrics is None else (metrics.recipe.get("like_threshold"), metrics.measure.like_threshold)
    return next((float(given) for given in settings if isinstance(given, int | float)), _THRESHOLD)


def _chosen(half: Taste, threshold: float) -> npt.NDArray[np.int64]:
    """Return users spread evenly over the activity of those who liked enough games."""
    assert half.folded is not None
    liked = row_counts(half.indptr, half.ratings >= threshold)
    eligible = np.flatnonzero((liked >= _ENOUGH) & half.folded.known())
    order = eligible[np.argsort(np.diff(half.indptr)[eligible], kind="stable")]
    if len(order) <= _USERS:
        return order
    return order[(np.linspace(0.1, 0.9, _USERS) * (len(order) - 1)).astype(np.int64)]


def _user(half: Taste, user: int, titles: list[str], threshold: float) -> SampleUser:
    row = slice(half.indptr[user], half.indptr[user + 1])
    games, ratings = half.indices[row], half.ratings[row]
    best = np.lexsort((games, -ratings))
    scores = half.scores(user)
    scores[~half.recommendable] = -np.inf
    scores[games] = -np.inf
    return {
        "alias": half.alias(user),
        "rated": len(games),
        "liked_number": int((ratings >= threshold).sum()),
        "liked": [(titles[games[at]], float(ratings[at])) for at in best[:_LIKED] if ratings[at] >= threshold],
        "recommended": [titles[game] for game in top_k(scores, _RECOMMENDED)],
    }
