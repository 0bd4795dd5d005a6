"""The catalogue of a release: games by id and by name, their tags, popularity and other columns."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.errors import NotInModel
from recsys.marts.ids import key_of
from recsys.marts.tags import split_tags
from recsys.ranking.top import top_k
from recsys.release.games import N_RATINGS
from recsys.serving.spellings import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pyarrow as pa

    from recsys.marts.ids import Id
    from recsys.ranking.scorer import Ranked, Ranking
    from recsys.serving.lift import Lift

TAG_COLUMNS = ("CATEGORIES", "MECHANICS")
YEAR_COLUMNS = ("YEAR", "YEAR_PUBLISHED", "YEARPUBLISHED")
"""Names under which a catalogue may say when a game appeared."""

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,37})")


class Catalogue:
    """Games of one release, in the order of its index.

    Parameters
    ----------
    table
        Columns GAME_ID, NAME, CATEGORIES, MECHANICS, N_RATINGS and perhaps more.
    game_ids
        Ids of the rows, in their order.

    Attributes
    ----------
    names
        What a game is called; its id where the catalogue has no name.
    n_ratings
        int64, (games,).
    """

    def __init__(self, table: pa.Table, game_ids: Sequence[Id]) -> None:
        self._table = table
        self.ids = list(game_ids)
        names = self.column("NAME")
        self.names = [name or str(id_) for name, id_ in zip(names, self.ids, strict=True)]
        self.n_ratings: npt.NDArray[np.int64] = np.array(self.column(N_RATINGS), dtype=np.int64)
        self._values: dict[str, list[Any]] = {}
        self._rows = {id_: row for row, id_ in enumerate(self.ids)}

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def columns(self) -> list[str]:
        """Names of all columns."""
        return list(self._table.column_names)

    def column(self, name: str) -> list[Any]:
        """Return the values of one column, in the order of the games."""
        return self._table[name].to_pylist()  # type: ignore[no-any-return]

    def values(self, name: str) -> list[Any]:
        """Return the values of one column, named in upper case, as :meth:`column` does; remembered."""
        values = self._values.get(name)
        if values is None:
            values = self._values[name] = self.column({each.upper(): each for each in self.columns}[name])
        return values

    def find(self, game_id: object) -> int | None:
        """Return the row of a game, or None; ``True`` is not the game 1, nor is 1.0."""
        return self._rows.get(key_of(game_id))  # type: ignore[arg-type] # of other types, none

    def find_all(self, game_ids: Sequence[Id]) -> npt.NDArray[np.intp]:
        """Return the row of each game, intp, (ids,); -1 for one that is not in the catalogue."""
        return np.array([self._rows.get(id_, -1) for id_ in game_ids], dtype=np.intp)

    def most_rated(self, allowed: npt.NDArray[np.bool_], lift: Lift | None = None) -> Ranking:
        """Return the ranking of the games that are allowed by their number of ratings.

        Parameters
        ----------
        allowed
            bool, (games,).
        lift
            What is added to the numbers; None for nothing.
        """
        numbers = self.n_ratings if lift is None else self.n_ratings + lift.values
        counts = np.where(allowed, numbers.astype(np.float32), np.float32(-np.inf))

        def rank(k: int) -> Ranked:
            rows = top_k(counts, k)
            return rows, counts[rows]

        return rank

    def row(self, game_id: object) -> int:
        """Return the row of a game.

        Raises
        ------
        NotInModel
            If the catalogue has no such game.
        """
        row = self.find(game_id)
        if row is None:
            raise NotInModel(
                f"game {game_id!r} is not among the {len(self):,} games of this release"
                + (self.hint(game_id) or "; look it up by name, with `recsys similar NAME` or Recommender.find")
            )
        return row

    def hint(self, asked: object) -> str:
        """Return the end of a message about an unknown id: the known one that is spelled otherwise; else nothing."""
        return did_you_mean(asked, self._rows.__contains__)

    def id_from(self, text: str) -> Id | None:
        """Return the id that a text spells, as in an address or on a command line; None if it can be none."""
        return id_from(text, integer=self.has_whole_ids)

    @property
    def has_whole_ids(self) -> bool:
        """Whether ids are whole numbers, and not texts."""
        return not self.ids or isinstance(self.ids[0], int)

    @cached_property
    def tags(self) -> dict[str, list[list[str]]]:
        """Tags of each game by tag column."""
        return {name: split_tags(self._texts(name)) for name in TAG_COLUMNS if name in self.columns}

    @cached_property
    def years(self) -> list[Any] | None:
        """When each game appeared, or None where the catalogue has no such column."""
        years = [name for name in self.columns if name.upper() in YEAR_COLUMNS]
        return self.column(years[0]) if years else None

    def _texts(self, name: str) -> list[str]:
        return [text or "" for text in self.column(name)]


def id_from(text: str, *, integer: bool) -> Id | None:
    """Return the id that a text spells, or None: an integer has one spelling, a string is itself."""
    if not integer:
        return text
    return int(text) if _INTEGER.fullmatch(text) else None
