"""The people who are scored: how much is known of each, and what stands for their names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np

from recsys.release.pseudonyms import pseudonym, pseudonym_key
from recsys.release.user_scores import DAYS, RATINGS, RELEVANT, user_scores_bytes

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsys.evaluation.holdout import Split
    from recsys.evaluation.result import Evaluation
    from recsys.marts.ratings import Ratings

    Whole = npt.NDArray[np.int64]

_DAY = 86_400_000_000
"""Microseconds."""


@dataclass(frozen=True, eq=False)
class ScoredUsers:
    """What is known of the users of a split, in their order.

    Attributes
    ----------
    names
        Their pseudonyms; see :mod:`recsys.release.pseudonyms`.
    ratings
        int64, (users,): ratings that contenders learn from.
    relevant
        int64, (users,): held-out games that they like.
    days
        int64, (users,): whole days from a user's first training rating to the last one of anybody; None where ratings
        are not dated.
    """

    names: tuple[str, ...] = field(repr=False)
    ratings: Whole
    relevant: Whole
    days: Whole | None = None

    @classmethod
    def of(cls, split: Split, everything: Ratings) -> Self:
        """Describe the users of a split.

        Parameters
        ----------
        split
            The hold-out.
        everything
            All ratings, held out or not: their digest is the key of the pseudonyms.
        """
        matrix = everything.matrix
        key = pseudonym_key(matrix.indptr, matrix.indices, matrix.data)
        names = tuple(pseudonym(id_, key) for id_ in everything.users.ids(split.users.tolist()))
        known, relevant = (np.diff(part.indptr)[split.users] for part in (split.train.matrix, split.relevant))
        return cls(names, known.astype(np.int64), relevant.astype(np.int64), _days(split))

    def file(self, evaluation: Evaluation) -> bytes:
        """Return the content of ``metrics.parquet``."""
        facts = {RATINGS: self.ratings, DAYS: self.days, RELEVANT: self.relevant}
        scores = {name: scored.per_user for name, scored in evaluation.contenders.items()}
        return user_scores_bytes(self.names, facts, scores)


def _days(split: Split) -> Whole | None:
    moments, indptr = split.train.rated_at, split.train.matrix.indptr
    if moments is None:
        return None
    rated = np.flatnonzero(np.diff(indptr))
    first = np.full(len(indptr) - 1, moments.max(), dtype=np.int64)
    first[rated] = np.minimum.reduceat(moments, indptr[rated])
    days: Whole = (moments.max() - first[split.users]) // _DAY
    return days
