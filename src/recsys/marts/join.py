"""Where the two marts meet: ``GAME_ID``, whatever type and spelling each of them gives it.

As the catalogue spells an id, so does the release.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from recsys.marts.counts import column_counts
from recsys.marts.ids import Id, IdMap, meaning
from recsys.marts.schema import GAME_ID

if TYPE_CHECKING:
    import numpy.typing as npt
    import scipy.sparse as sp

    from recsys.marts.contract import ContractReport
    from recsys.marts.ratings import Ratings

RESPELLED = "game ids spelled otherwise"
"""What reports call ratings whose ``GAME_ID`` was brought to the catalogue's spelling."""

_SAMPLES = 3


def join(
    ratings: Ratings,
    catalogue: IdMap,
    report: ContractReport,
    max_unknown: float,
    marts: tuple[str, str] = ("games", "ratings"),
) -> Ratings | None:
    """Spell the rated games as the catalogue does, and find marts that do not meet.

    Parameters
    ----------
    ratings
        Checked; no two of their games mean the same.
    catalogue
        Ids of the games mart, likewise.
    report
        Takes the broken rules, and as a repair how many ratings were respelled.
    max_unknown
        Share of the ratings that may be of games which the catalogue lacks.
    marts
        What messages call the two tables.

    Returns
    -------
    Ratings or None
        Their games spelled as the catalogue's, in ascending order; None if they do not meet.
    """
    items, spelled = ratings.items, _spelled(ratings.items, catalogue)
    meeting = Meeting.however_spelled(items, ratings.matrix.indices, catalogue)
    if meeting.share > max_unknown:
        report.broken(marts[1], meeting.rule(max_unknown, marts[0]), meeting.lost_ratings)
        return None
    if catalogue.kind == "integer" and (odd := [id_ for id_ in spelled if isinstance(id_, str)]):
        rule = f"games whose {GAME_ID} is no whole number, as each of {marts[0]} is"
        report.broken(marts[1], rule, len(odd), map(repr, odd))
        return None
    changed = np.array([new != old for new, old in zip(spelled, items.ids(), strict=True)])
    if not changed.any():
        return ratings
    report.repaired({RESPELLED: int(meeting.counts[changed].sum())})
    return _renamed(ratings, spelled)


@dataclass(frozen=True)
class Meeting:
    """Rated games beside a catalogue.

    Attributes
    ----------
    items
        Ids of the rated games.
    counts
        int, (items,): ratings of each.
    catalogue
        Ids of the games mart.
    unknown
        bool, (items,): the rated games that the catalogue lacks.
    """

    items: IdMap
    counts: npt.NDArray[np.intp]
    catalogue: IdMap
    unknown: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, items: IdMap, indices: npt.NDArray[np.integer], catalogue: IdMap) -> Self:
        """Compare ids that are spelled alike already.

        Parameters
        ----------
        items, catalogue
            Ids of the rated games, and of the catalogue's.
        indices
            int, (ratings,): the code of each rating's game.
        """
        return cls(items, column_counts(indices, len(items)), catalogue, catalogue.locate(items) < 0)

    @classmethod
    def however_spelled(cls, items: IdMap, indices: npt.NDArray[np.integer], catalogue: IdMap) -> Self:
        """Compare ids by what they mean; parameters are those of :meth:`of`."""
        counts = column_counts(indices, len(items))
        return cls(items, counts, catalogue, catalogue.codes_of(_spelled(items, catalogue)) < 0)

    @property
    def lost_games(self) -> list[Id]:
        """The rated games that the catalogue lacks."""
        return self.items.ids(np.flatnonzero(self.unknown))

    @property
    def lost_ratings(self) -> int:
        """How many ratings are of them."""
        return int(self.counts[self.unknown].sum())

    @property
    def share(self) -> float:
        """Share of the ratings that are of them; 0 without ratings."""
        return self.lost_ratings / max(int(self.counts.sum()), 1)

    def rule(self, max_unknown: float, games: str) -> str:
        """Return, for a message, what is broken where the share is above ``max_unknown``.

        Parameters
        ----------
        max_unknown
            The bound.
        games
            What the message calls the games mart.
        """
        there = _described(self.catalogue.kind, self.catalogue.ids(range(min(len(self.catalogue), _SAMPLES))))
        here = _described(self.items.kind, self.lost_games[:_SAMPLES])
        return (
            f"ratings ({self.share:.1%} of them) of games that {games} lacks, more than the {max_unknown:.0%} of"
            f" data.max_unknown: {GAME_ID} is {there} there, and {here} here; give a game the same id in both, or raise"
            " data.max_unknown"
        )


def _described(kind: str, ids: list[Id]) -> str:
    return f"{'text' if kind == 'string' else 'a whole number'} (such as {', '.join(map(repr, ids))})"


def _spelled(items: IdMap, catalogue: IdMap) -> list[Id]:
    """Return the ids of ``items`` as the catalogue spells them; what it lacks, as it would if it can."""
    if catalogue.kind == "integer":
        return [meaning(id_) for id_ in items.ids()]
    theirs = {meaning(id_): id_ for id_ in catalogue.ids()}
    return [theirs.get(meaning(id_), str(id_)) for id_ in items.ids()]


def _renamed(ratings: Ratings, spelled: list[Id]) -> Ratings:
    """Give every rated game another id; rows stay, columns follow the new ids' order."""
    items = IdMap.of(spelled)
    matrix, order = _with_columns(ratings.matrix, items.codes_of(spelled))
    rated_at = None if ratings.rated_at is None else ratings.rated_at[order]
    return replace(ratings, items=items, matrix=matrix, rated_at=rated_at)


def _with_columns(matrix: sp.csr_matrix, columns: npt.NDArray[np.int32]) -> tuple[sp.csr_matrix, npt.NDArray[Any]]:
    """Renumber the columns; return the matrix, sorted within rows, and where each of its entries stood before."""
    import scipy.sparse as sp

    order = sp.csr_matrix((np.arange(matrix.nnz), columns[matrix.indices], matrix.indptr), shape=matrix.shape)
    order.sort_indices()
    return sp.csr_matrix((matrix.data[order.data], order.indices, order.indptr), shape=matrix.shape), order.data
