"""What of a visitor an answer rests on, and why not on the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recsys.serving.answers import Unused, Used

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsys.serving.answers import By
    from recsys.serving.snapshot import Snapshot
    from recsys.serving.visitors import Said

    Rows = npt.NDArray[np.intp]


def used(at: Snapshot, said: Said, by: By) -> Used:
    """Return which of the games that a visitor named moved the scores of a list.

    Parameters
    ----------
    at
        The release.
    said
        What they said.
    by
        What the list was ranked by in the end.
    """
    named, counted = said.seen, _counted(at, said, by)
    speaking, dislikes = counted[: len(said.rows)], int(np.count_nonzero(counted[len(said.rows) :]))
    ratings = int(np.count_nonzero(speaking & said.rated))
    ids, names = at.catalogue.ids, at.catalogue.names
    unused = tuple(
        Unused(ids[named[place]], names[named[place]], _why(at, said, by, place))
        for place in np.flatnonzero(~counted).tolist()
    )
    return Used(int(np.count_nonzero(speaking)) - ratings, ratings, dislikes, unused)


def _counted(at: Snapshot, said: Said, by: By) -> npt.NDArray[np.bool_]:
    """Return which games counted: of those liked and rated, then of those disliked."""
    if by == "popularity":
        return np.zeros(len(said.seen), dtype=bool)
    if by == "content":
        return np.concatenate((said.liked, np.zeros(len(said.disliked), dtype=bool)))
    weighty = np.concatenate((said.confidence > 0, np.ones(len(said.disliked), dtype=bool)))
    return weighty if by == "blend" else weighty & at.taste.has(said.seen)


def _why(at: Snapshot, said: Said, by: By, place: int) -> str:
    """Return why the game at a place did not count."""
    if by == "popularity":
        return "the list is the same for everybody"
    if by == "content":
        low = f"rated below {at.people.like_threshold:g}: " if place < len(said.rows) else ""
        return f"{low}only texts of liked games count"
    if place < len(said.rows) and not said.confidence[place] > 0:
        return "a rating this low has no weight in this release"
    return "too few ratings for a taste"
