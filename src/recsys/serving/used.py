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

_UNRATED = "too few ratings for a taste"


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
    named = np.concatenate((said.rows, said.disliked))
    kind = np.concatenate((said.rated.astype(np.int8), np.full(len(said.disliked), 2, dtype=np.int8)))
    whys = _whys(at, said, by)
    likes, ratings, dislikes = np.bincount(kind[[not why for why in whys]], minlength=3).tolist()
    ids, names = at.catalogue.ids, at.catalogue.names
    unused = tuple(Unused(ids[row], names[row], why) for row, why in zip(named.tolist(), whys, strict=True) if why)
    return Used(likes, ratings, dislikes, unused)


def _whys(at: Snapshot, said: Said, by: By) -> list[str]:
    """Return for each game that was named why it did not count; empty where it did."""
    if by == "popularity":
        return ["the list is the same for everybody"] * (len(said.rows) + len(said.disliked))
    if by == "content":
        unliked = f"rated below {at.people.like_threshold:g}: only texts of liked games count"
        return ["" if liked else unliked for liked in said.liked.tolist()] + ["only texts of liked games count"] * len(
            said.disliked
        )
    weightless = "a rating this low has no weight in this release"
    whys = ["" if sure > 0 else weightless for sure in said.confidence.tolist()] + [""] * len(said.disliked)
    if by == "blend":
        return whys
    known = at.taste.has(np.concatenate((said.rows, said.disliked))).tolist()
    return [why or ("" if has else _UNRATED) for why, has in zip(whys, known, strict=True)]
