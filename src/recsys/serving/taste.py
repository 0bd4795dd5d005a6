"""The taste side of a release: factors of its games, by which they are ranked."""

from __future__ import annotations

from functools import cached_property, partial
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from recsys.ranking.lists import Lists
from recsys.ranking.moments import Moments
from recsys.ranking.scorer import Scorer, Shift, scores_for
from recsys.serving.lift import lifted

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from recsys.models.taste import Line
    from recsys.ranking.scorer import Ranking
    from recsys.serving.lift import Lift
    from recsys.serving.profiles import Profile

    Floats = npt.NDArray[np.float32]
    Rows = npt.NDArray[np.intp]


YARDSTICK = 4096
"""Games on which the spread of somebody's scores is measured at most."""


def spread_evenly(count: int, most: int) -> Rows:
    """Return at most so many of ``count`` places, evenly spread, ascending; all where there are no more."""
    return np.arange(count) if count <= most else np.arange(most) * count // most


class _Measured(NamedTuple):
    """Factors of some games, float32 (games, factors), and their items."""

    factors: Floats
    items: npt.NDArray[np.int32]


class TasteSpace:
    """Ranks the games that have factors.

    Parameters
    ----------
    item_factors
        float32, (items, factors): of the rated games; zeros where no rating counts.
    row_of_item
        intp, (items,): row of each in the catalogue; -1 for one that may not be suggested.
    games
        Games of the catalogue.

    Attributes
    ----------
    rows
        intp, (games with factors,): their rows in the catalogue, ascending.
    factors
        float32, (games with factors, factors), in that order.
    items
        int32, (games with factors,): their items.
    item_of_row
        int32, (games,): the item at each row; -1 for a game without factors.
    """

    def __init__(self, item_factors: Floats, row_of_item: Rows, games: int) -> None:
        self.row_of_item = row_of_item
        items = np.flatnonzero(row_of_item >= 0)
        items = items[item_factors[items].any(axis=1)]
        self.item_of_row = np.full(games, -1, dtype=np.int32)
        self.item_of_row[row_of_item[items]] = items
        self.rows = np.flatnonzero(self.item_of_row >= 0)
        self.items = self.item_of_row[self.rows]
        self.factors: Floats = item_factors[self.items]
        self._place_of_row = np.full(games, -1, dtype=np.intp)
        self._place_of_row[self.rows] = np.arange(len(self.rows))

    def has(self, rows: Rows | int) -> npt.NDArray[np.bool_]:
        """Return which rows of the catalogue have factors."""
        return np.asarray(self._place_of_row[rows] >= 0)

    def factors_of(self, rows: Rows) -> Floats:
        """Return the factors of the games at some rows; float32, (n, factors), zeros for those without."""
        return _taken(self.factors, self._place_of_row[rows])

    def scores(self, query: Floats, rows: Rows, line: Line) -> Floats:
        """Return the scores of the games at some rows for a person; 0 for games without factors."""
        scores = line.of(scores_for(query, self.factors_of(rows)), self.item_of_row[rows])
        return np.where(self.has(rows), scores, np.float32(0))

    def ranking(self, query: Floats, allowed: npt.NDArray[np.bool_], line: Line, lift: Lift | None = None) -> Ranking:
        """Return the ranking for a person.

        Parameters
        ----------
        query
            float32, (factors,): their factors.
        allowed
            bool, (games,): games of the catalogue that may be suggested.
        line
            How scores follow from inner products.
        lift
            What is added to scores; None for nothing.
        """
        if line.added is None:
            return self._by_row(self._plain(self._scorer, query, allowed, lift))
        added = line.added[self.items]
        if lift is not None:
            added = added + lift.values[self.rows]
        return self._by_row(self._scorer.shifted(query, allowed[self.rows], line.scale, added))

    def spread(self, query: Floats, line: Line) -> float:
        """Return the standard deviation of the scores of the games with factors, for a person.

        Of :data:`YARDSTICK` of them, spread evenly over the catalogue, where there are more.
        """
        # Not by BLAS: its bits depend on the two alone.
        products = np.einsum("ij,j->i", self._measured.factors, query)
        return float(line.of(products, self._measured.items).std(dtype=np.float64)) if len(products) else 0.0

    def lists(self, queries: Floats, people: Iterable[Profile], allowed: npt.NDArray[np.bool_], k: int) -> Lists:
        """Return the first ``k`` games of the ranking of each of some people, without what they have seen.

        Parameters
        ----------
        queries
            float32, (people, factors): their factors, which are not all 0.
        people
            They themselves, in this order: each is asked for once, and let go of.
        allowed
            bool, (games,): games of the catalogue that may be suggested to anybody.
        k
            Length of the lists.

        Returns
        -------
        Lists
            Its ``columns`` are rows of the catalogue.
        """
        coming = iter(people)
        first = next(coming)
        if first.line.added is None:
            seen = [self._places(profile.seen) for profile in (first, *coming)]
            ends = np.append(0, np.cumsum([len(places) for places in seen]))
            lists = self._scorer.best(queries, k, allowed[self.rows], (ends, np.concatenate(seen)))
        else:
            shifts = (self._shift(profile) for profile in chain((first,), coming))
            lists = self._scorer.best_shifted(queries, k, shifts, allowed[self.rows])
        listed = lists.columns >= 0
        return Lists(np.where(listed, self.rows[lists.columns], -1).astype(np.int32), lists.scores)

    def _shift(self, profile: Profile) -> Shift:
        added = profile.line.added
        assert added is not None
        mine = added if self._items_in_order else np.take(added, self.items)
        return Shift(profile.line.scale, mine, self._places(profile.seen))

    @cached_property
    def _items_in_order(self) -> bool:
        """Whether the games with factors are all the rated games, in their order."""
        return np.array_equal(self.items, np.arange(len(self.row_of_item)))

    def _places(self, rows: Rows) -> Rows:
        """Return where some games stand among those with factors, without the others."""
        places: Rows = self._place_of_row[rows]
        return places[places >= 0]

    def cosines(self, row: int, rows: Rows) -> Floats:
        """Return the cosines of the factors at ``row`` with those at some rows; 0 for games without factors."""
        return scores_for(self._direction(row), _taken(self._directions.rows, self._place_of_row[rows]))

    def neighbours(self, row: int, allowed: npt.NDArray[np.bool_], lift: Lift | None = None) -> Ranking:
        """Return the ranking by the cosine with the factors of the game at ``row``; see :meth:`ranking`."""
        return self._by_row(self._plain(self._directions, self._direction(row), allowed, lift))

    def usual(self, row: int) -> tuple[float, float]:
        """Return mean and standard deviation of the cosines of all games with the one at ``row``."""
        return self._moments.of(self._direction(row))

    def prepare(self) -> None:
        """Build what the first question would build."""
        _ = self._scorer, self._directions, self._moments, self._measured

    def _plain(self, scorer: Scorer, query: Floats, allowed: npt.NDArray[np.bool_], lift: Lift | None) -> Ranking:
        """Return the ranking of places by inner products, lifted or not."""
        if lift is None:
            return scorer.ranking(query, allowed[self.rows])
        return lifted(
            partial(scorer.ranking, query),
            lambda places: scores_for(query, scorer.rows[places]),
            allowed[self.rows],
            lift.at(self.rows),
        )

    def _by_row(self, ranking: Ranking) -> Ranking:
        def rank(k: int) -> tuple[Rows, Floats]:
            places, scores = ranking(k)
            return self.rows[places], scores

        return rank

    def _direction(self, row: int) -> Floats:
        direction: Floats = self._directions.rows[self._place_of_row[row]]
        return direction

    @cached_property
    def _scorer(self) -> Scorer:
        return Scorer(self.factors)

    @cached_property
    def _directions(self) -> Scorer:
        return Scorer((self.factors / np.linalg.norm(self.factors, axis=1, keepdims=True)).astype(np.float32))

    @cached_property
    def _measured(self) -> _Measured:
        places = spread_evenly(len(self.rows), YARDSTICK)
        return _Measured(self.factors[places], self.item_of_row[self.rows[places]])

    @cached_property
    def _moments(self) -> Moments:
        return Moments(self._directions.rows)


def _taken(table: Floats, places: Rows) -> Floats:
    """Return rows of a table; zeros at place -1."""
    taken = np.zeros((len(places), table.shape[1]), dtype=np.float32)
    taken[places >= 0] = table[places[places >= 0]]
    return taken
