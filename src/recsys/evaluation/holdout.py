"""Which ratings are held out, and which users are scored on them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from recsys.ranking.hashing import id_hashes, mix

if TYPE_CHECKING:
    import numpy.typing as npt
    import scipy.sparse as sp

    from recsys.config import EvaluationSettings
    from recsys.marts.ratings import Ratings

_LARGEST = np.iinfo(np.uint64).max


@dataclass(frozen=True, eq=False)
class Split:
    """Ratings in two parts, and the users to score.

    Attributes
    ----------
    train
        What contenders may learn from; users and items are those of all the ratings.
    held_out
        CSR, float32, (users, items): the other ratings.
    relevant
        CSR, float32, (users, items): those of them that are at least the like threshold.
    users
        int32, ascending: codes of the users to score. Each has a training rating and a relevant
        held-out one.
    eligible
        How many users could have been scored before sampling.
    kind
        ``hash``, or ``time`` where ratings are dated.
    cut
        Where ratings are split by time, the microsecond since 1970 after which everything is held out.
    """

    train: Ratings
    held_out: sp.csr_matrix
    relevant: sp.csr_matrix
    users: npt.NDArray[np.int32]
    eligible: int
    kind: Literal["hash", "time"]
    cut: int | None = None

    def description(self) -> dict[str, object]:
        """Return what a reader of the scores must know about the split, ready for JSON."""
        return {
            "kind": self.kind,
            "cut": None if self.cut is None else str(np.datetime64(self.cut, "us")),
            "training_ratings": int(self.train.matrix.nnz),
            "held_out_ratings": int(self.held_out.nnz),
            "relevant_ratings": int(self.relevant.nnz),
            "users_eligible": self.eligible,
            "users_scored": len(self.users),
        }


def split(ratings: Ratings, settings: EvaluationSettings, like_threshold: float, *, at_random: bool = False) -> Split:
    """Hold out a fraction of the ratings.

    Where ratings are dated, the latest ones are held out, with one cut in time for everybody, so
    that nobody's future tells on anybody; among ratings of the very moment of the cut the hash
    decides. Users who first rated after it are not scored: there is nothing to know them by.

    Elsewhere a rating is held out if the hash of (seed, user id, game id) falls into the fraction.
    Whether it does depends on nothing else, so that ratings that arrive later move no other. A
    user all of whose ratings would be held out keeps the one with the highest hash.

    Parameters
    ----------
    ratings
        All of them.
    settings
        ``fraction``, ``users`` and ``seed`` are used.
    like_threshold
        From this rating on, a held-out game is relevant.
    at_random
        Let the hash decide also where ratings are dated.
    """
    hashes = _rating_hashes(ratings, settings.seed)
    bound = np.uint64(min(int(settings.fraction * 2.0**64), int(_LARGEST)))
    if ratings.rated_at is None or at_random:
        out, cut = _by_hash(ratings.matrix, hashes, bound), None
    else:
        out, cut = _by_time(ratings.rated_at, hashes, settings.fraction)
    held_out = part(ratings.matrix, out)
    relevant = part(held_out, held_out.data >= np.float32(like_threshold))
    rated_at = None if ratings.rated_at is None else ratings.rated_at[~out]
    train = replace(ratings, matrix=part(ratings.matrix, ~out), rated_at=rated_at)
    eligible = scorable(train.matrix, relevant).astype(np.int32)
    users = sampled(eligible, ratings, settings.users, settings.seed)
    return Split(train, held_out, relevant, users, len(eligible), "hash" if cut is None else "time", cut)


def _rating_hashes(ratings: Ratings, seed: int) -> npt.NDArray[np.uint64]:
    """Return the hash of each rating's user and game, aligned with the matrix's data."""
    users = id_hashes(ratings.users, "hold-out user", seed)
    games = id_hashes(ratings.items, "hold-out game", seed)
    matrix = ratings.matrix
    hashes = np.repeat(users, np.diff(matrix.indptr))
    hashes ^= games[matrix.indices]
    return mix(hashes)


def _by_hash(matrix: sp.csr_matrix, hashes: npt.NDArray[np.uint64], bound: np.uint64) -> npt.NDArray[np.bool_]:
    """Return which ratings are held out when every user keeps at least one."""
    rated = np.flatnonzero(np.diff(matrix.indptr))
    highest = np.maximum.reduceat(hashes, matrix.indptr[rated]) if len(rated) else hashes
    # A user who keeps anything keeps the highest hash: to set that aside changes nobody else.
    kept = np.repeat(highest, np.diff(matrix.indptr)[rated])
    out: npt.NDArray[np.bool_] = (hashes < bound) & (hashes < kept)
    return out


def _by_time(
    rated_at: npt.NDArray[np.int64], hashes: npt.NDArray[np.uint64], fraction: float
) -> tuple[npt.NDArray[np.bool_], int]:
    """Return which ratings are held out when the latest are, and the moment of the cut."""
    size = int(fraction * len(rated_at))
    if not size:
        return np.zeros(len(rated_at), dtype=bool), int(rated_at.max())
    cut = int(np.partition(rated_at, -size)[-size])
    out = rated_at > cut
    tied = np.flatnonzero(rated_at == cut)
    lowest = np.argsort(hashes[tied], kind="stable")[: size - int(np.count_nonzero(out))]
    out[tied[lowest]] = True
    return out, cut


def part(matrix: sp.csr_matrix, keep: npt.NDArray[np.bool_]) -> sp.csr_matrix:
    """Return a matrix with some of its entries; ``keep``, bool, is aligned with its data."""
    import scipy.sparse as sp

    before = np.concatenate(([0], np.cumsum(keep)))
    indptr = before[matrix.indptr].astype(matrix.indptr.dtype)
    part = sp.csr_matrix((matrix.data[keep], matrix.indices[keep], indptr), shape=matrix.shape)
    part.has_sorted_indices = True
    return part


def scorable(train: sp.csr_matrix, relevant: sp.csr_matrix) -> npt.NDArray[np.int64]:
    """Return the rows, int64 ascending, that have both an entry to learn from and a relevant one."""
    return np.flatnonzero((np.diff(relevant.indptr) > 0) & (np.diff(train.indptr) > 0))


def sampled(users: npt.NDArray[np.int32], ratings: Ratings, number: int, seed: int) -> npt.NDArray[np.int32]:
    """Return the users with the lowest hashes, at most so many: a sample that stays when others come and go.

    Parameters
    ----------
    users
        int32, ascending: codes.
    ratings
        Whose ids are hashed.
    number
        How many; 0 for all.
    seed
        Of the hash.
    """
    if not number or len(users) <= number:
        return users
    hashes = id_hashes(ratings.users, "sampled user", seed)[users]
    return np.sort(users[np.argsort(hashes, kind="stable")[:number]])
