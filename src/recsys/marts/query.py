"""The queries that fetch the marts: their text, and the columns and the table that it was made of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Self

from recsys.marts.reserved import spelled
from recsys.marts.schema import GAME_COLUMNS, RATING_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys.config import SourceSettings

_NAME = r'(?:[\w$]+|"[^"]+")'
_PLAIN = re.compile(
    rf"\s*SELECT\s+(?P<columns>\*|{_NAME}(?:\s*,\s*{_NAME})*)\s+FROM\s+(?P<table>{_NAME}(?:\.{_NAME})*)\s*;?\s*",
    re.IGNORECASE,
)


class MartQuery(str):
    """Some columns of one table, every row. It is its own SQL text: code that takes a text takes it as well.

    Parameters
    ----------
    columns
        Names, in the order of the answer, as SQL spells them.
    table
        Name of the table or view, with its schema.

    Examples
    --------
    >>> MartQuery(("USER_ID", "RATING"), "ANALYTICS.MART_USER_RATINGS")
    'SELECT USER_ID, RATING FROM ANALYTICS.MART_USER_RATINGS'
    """

    __slots__ = ("columns", "table")
    columns: tuple[str, ...]
    table: str

    def __new__(cls, columns: Sequence[str], table: str) -> Self:
        """Write the text."""
        query = super().__new__(cls, f"SELECT {', '.join(columns)} FROM {table}")
        query.columns = tuple(columns)
        query.table = table
        return query

    @classmethod
    def of_games(cls, source: SourceSettings) -> Self:
        """Return query 1: the games mart with the columns that the settings add."""
        return cls((*GAME_COLUMNS, *map(spelled, source.more_game_columns)), spelled(source.games_table))

    @classmethod
    def of_ratings(cls, source: SourceSettings) -> Self:
        """Return query 2: the ratings mart, with the time column where the settings name one."""
        dated = (spelled(source.time_column),) if source.time_column else ()
        return cls((*RATING_COLUMNS, *dated), spelled(source.ratings_table))

    @classmethod
    def read(cls, sql: str) -> MartQuery | None:
        """Return the query that a text spells; None where it asks for more than the columns of one table.

        Parameters
        ----------
        sql
            Any SQL. A semicolon at its end, quoted names and ``*`` are read; aliases, conditions and functions
            are more.
        """
        if isinstance(sql, MartQuery):
            return sql
        plain = _PLAIN.fullmatch(sql)
        return None if plain is None else cls(re.findall(rf"\*|{_NAME}", plain["columns"]), plain["table"])
