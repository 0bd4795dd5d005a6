"""What the models say about games: neighbours then and now, neighbours by content and by taste."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypedDict

import numpy as np

from recsys.ranking.scorer import Scorer
from recsys.report.missing import Missing, replaced, shown, taste

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from recsys.marts.ids import Id
    from recsys.report.contents import Catalogue, Contents

    Points = npt.NDArray[np.float32]

COMPARED = 10
"""Neighbours of a game that are compared between two releases."""
_ASKED = 3000
"""Best-known games whose neighbours are compared: the whole catalogue squared would take minutes."""
_MOVED = 8
_KNOWN, _SIDE = 10, 6


class GameMoved(TypedDict):
    """A game whose neighbours differ: how many stayed, and the names of those that went and came."""

    name: str
    kept: int
    gone: list[str]
    came: list[str]


class HalfMoved(TypedDict):
    """The games that moved most in one half, the mean share of neighbours kept, how many changed, and of how many."""

    rows: list[GameMoved]
    mean: float | None
    changed: int
    games: int


class Moved(TypedDict):
    """What moved since a release, by half; ``asked`` games with ``k`` neighbours each."""

    halves: dict[str, HalfMoved]
    release: str
    asked: int
    k: int


class KnownGame(TypedDict):
    """A well-known game with its neighbours by content, by taste, and by both."""

    name: str
    raters: int
    both: list[str]
    content: list[str]
    taste: list[str]


class WellKnown(TypedDict):
    """The games with the most ratings, most first."""

    games: list[KnownGame]


def nearest(
    vectors: Points, queries: npt.NDArray[np.integer], k: int, allowed: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.int32]:
    """Return the rows nearest to some rows by cosine, nearest first, without the row itself.

    Parameters
    ----------
    vectors
        float32, (rows, dimensions): unit rows, or rows of zeros, which are nobody's neighbours.
    queries
        int, (n,): rows to find neighbours for.
    k
        Neighbours of each.
    allowed
        bool, (rows,): which rows may be found; all when not given.

    Returns
    -------
    numpy.ndarray
        int32, (n, k); -1 where there are fewer. Ties go to the lower row.
    """
    listed: npt.NDArray[np.bool_] = np.asarray(vectors.any(axis=1))
    if allowed is not None:
        listed &= allowed
    themselves = np.arange(len(queries) + 1), queries
    return Scorer(vectors).best(vectors[queries], k, listed, themselves).columns


class _Space(NamedTuple):
    """Games as unit vectors in one order, with their ids, and which of them may be found."""

    ids: list[Id]
    vectors: Points
    allowed: npt.NDArray[np.bool_]

    def neighbours(self, ids: Sequence[Id], k: int) -> dict[Id, list[Id]]:
        row_of = {id_: row for row, id_ in enumerate(self.ids)}
        asked = [id_ for id_ in ids if id_ in row_of]
        found = nearest(self.vectors, np.array([row_of[id_] for id_ in asked], dtype=np.int64), k, self.allowed)
        return {id_: [self.ids[row] for row in rows if row >= 0] for id_, rows in zip(asked, found, strict=True)}


def _content_space(release: Contents) -> _Space:
    catalogue = shown(release)
    if release.vectors is None:
        raise Missing("This release holds no content index.")
    return _Space(catalogue.ids, release.vectors, np.ones(len(catalogue.ids), dtype=bool))


def _taste_space(release: Contents) -> _Space:
    half = taste(release)
    return _Space(half.items.ids(), half.directions, half.recommendable)


def moved(release: Contents, current: Contents | None) -> Moved:
    """Return the games whose neighbours differ most from those in the release before, by content and by taste."""
    catalogue, before = shown(release), replaced(release, current)
    asked = [catalogue.ids[row] for row in catalogue.best_known(_ASKED)]
    names = {**_names(shown(before)), **_names(catalogue)}
    halves = {}
    for half, space in (("taste", _taste_space), ("content", _content_space)):
        now, then = (space(each).neighbours(asked, COMPARED) for each in (release, before))
        halves[half] = _compared(now, then, names)
    return {"halves": halves, "release": before.facts.release, "asked": len(asked), "k": COMPARED}


def _compared(now: dict[Id, list[Id]], then: dict[Id, list[Id]], names: dict[Id, str]) -> HalfMoved:
    """Compare lists of neighbours; games that only one release has, or that have none, are left out."""
    both = [id_ for id_ in now if now[id_] and then.get(id_)]
    kept = {id_: len(set(now[id_]) & set(then[id_])) for id_ in both}
    changed = sorted((id_ for id_ in both if set(now[id_]) != set(then[id_])), key=lambda id_: kept[id_])
    rows: list[GameMoved] = [
        {
            "name": names[id_],
            "kept": kept[id_],
            "gone": [names.get(other, str(other)) for other in then[id_] if other not in now[id_]],
            "came": [names.get(other, str(other)) for other in now[id_] if other not in then[id_]],
        }
        for id_ in changed[:_MOVED]
    ]
    mean = float(np.mean([kept[id_] / len(now[id_]) for id_ in both])) if both else None
    return {"rows": rows, "mean": mean, "changed": len(changed), "games": len(both)}


def well_known(release: Contents, _: Contents | None) -> WellKnown:
    """Return the ten games with the most ratings, each with its neighbours by content and by taste."""
    catalogue = shown(release)
    names = _names(catalogue)
    rows = catalogue.best_known(_KNOWN)
    if not len(rows):
        raise Missing("No game of the catalogue has a rating.")
    asked = [catalogue.ids[row] for row in rows]
    content = _content_space(release).neighbours(asked, _SIDE)
    liked = _taste_space(release).neighbours(asked, _SIDE)
    return {
        "games": [
            {
                "name": names[id_],
                "raters": int(catalogue.raters[row]),
                "both": [names[other] for other in content[id_] if other in liked.get(id_, [])],
                "content": [names[other] for other in content[id_]],
                "taste": [names[other] for other in liked.get(id_, [])],
            }
            for id_, row in zip(asked, rows, strict=True)
        ],
    }


def _names(catalogue: Catalogue) -> dict[Id, str]:
    return dict(zip(catalogue.ids, catalogue.names, strict=True))
