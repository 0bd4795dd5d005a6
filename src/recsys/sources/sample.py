"""The built-in warehouse: 400 games and 3,000 users, made from eight taste groups.

A correct model recovers the groups, from texts or from ratings, and beats popularity; a broken
one does not. Everything follows from one seed through additions, multiplications and divisions
alone, on PCG64's raw stream, which numpy keeps stable: the same warehouse on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from recsys.marts import (
    CATEGORIES,
    DESCRIPTION,
    GAME_ID,
    GAMES_TABLE,
    MECHANICS,
    NAME,
    RATING,
    RATINGS_TABLE,
    USER_ID,
)
from recsys.sources import Source
from recsys.sources.duckdb import DuckDBSource
from recsys.sources.vocabulary import COMMON_SENTENCES, TASTES, Taste

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    from recsys.sources import QueryResult

SEED = 20_240_229
"""Of everything in the warehouse."""

USERS = 3_000
GAMES_PER_TASTE = 50
UNRATED = 12
"""Games so new that nobody has rated them."""
ORPHANS = 2
"""Rated games that the catalogue has lost."""
REPEATED = 25
"""Ratings given twice."""

_DAY = 86_400_000_000
_FIRST_DAY = 17_532  # 2018-01-01, in days since 1970
_DAYS = 2_557


@dataclass(frozen=True)
class SampleWarehouse:
    """The two marts, and the truth behind them.

    Attributes
    ----------
    games
        GAME_ID (int64), NAME, DESCRIPTION, CATEGORIES, MECHANICS; in no order.
    ratings
        USER_ID (int64), GAME_ID (int64), RATING (double, 1–10 by halves), RATED_AT (timestamp); in no order.
    game_tastes
        Taste group of each game by id, orphans included.
    user_tastes
        First taste of each user by id; each has a second, weaker one.
    """

    games: pa.Table
    ratings: pa.Table
    game_tastes: dict[int, str]
    user_tastes: dict[int, str]


class SampleSource(Source):
    """Answers SQL from the sample warehouse, through DuckDB like any other table."""

    def __init__(self) -> None:
        made = sample_warehouse()
        tables = {GAMES_TABLE: made.games, RATINGS_TABLE: made.ratings}
        self._tables = DuckDBSource.from_tables(tables, "sample")

    @property
    def name(self) -> str:
        """``sample``."""
        return self._tables.name

    def execute(self, sql: str) -> QueryResult:
        """Run one query; fails as :meth:`DuckDBSource.execute` does."""
        return self._tables.execute(sql)

    def column_types(self, table: str) -> dict[str, str]:
        """Return the type of each column of a table; see :meth:`DuckDBSource.column_types`."""
        return self._tables.column_types(table)

    def close(self) -> None:
        """Forget the tables; may be called twice."""
        self._tables.close()


def taste_groups() -> dict[int, str]:
    """Return the true group of each game of the sample by id."""
    return dict(sample_warehouse().game_tastes)


def user_groups() -> dict[int, str]:
    """Return the first taste of each user of the sample by id."""
    return dict(sample_warehouse().user_tastes)


@cache
def sample_warehouse() -> SampleWarehouse:
    """Make the warehouse; the same object every time."""
    draws = _Draws(SEED)
    tastes = np.repeat(np.arange(len(TASTES)), GAMES_PER_TASTE)
    game_ids = draws.distinct(len(tastes), below=400_000) + 1
    user_ids = draws.distinct(USERS, below=4_000_000) + 1
    first = np.arange(USERS) % len(TASTES)
    ratings, present = _ratings(draws, game_ids, user_ids, tastes, first)
    names = list(TASTES)
    return SampleWarehouse(
        _games(draws, game_ids, tastes, present),
        ratings,
        {int(game): names[taste] for game, taste in zip(game_ids, tastes, strict=True)},
        {int(user): names[taste] for user, taste in zip(user_ids, first, strict=True)},
    )


class _Draws:
    """Random numbers from PCG64's raw stream: numpy may change its distributions, not its generators."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def uniform(self, *shape: int) -> npt.NDArray[np.float64]:
        raw = np.asarray(self._bits.random_raw(int(np.prod(shape))), dtype=np.uint64)
        return (raw >> np.uint64(11)).astype(np.float64).reshape(shape) * 2.0**-53

    def below(self, bound: int) -> int:
        return int(self.uniform(1)[0] * bound)

    def normal(self, count: int) -> npt.NDArray[np.float64]:
        """Return nearly normal numbers: sums of twelve uniforms need no logarithm, which differs by machine."""
        total = np.full(count, -6.0)
        for part in self.uniform(12, count):
            total += part
        return total

    def order(self, count: int) -> npt.NDArray[np.int64]:
        return np.argsort(self.uniform(count), kind="stable")

    def distinct(self, count: int, below: int) -> npt.NDArray[np.int64]:
        seen = dict.fromkeys((self.uniform(2 * count) * below).astype(np.int64).tolist())
        return np.array(list(seen)[:count], dtype=np.int64)

    def pick(self, words: tuple[str, ...], count: int) -> list[str]:
        return [words[i] for i in self.order(len(words))[:count]]


def _ratings(
    draws: _Draws,
    game_ids: npt.NDArray[np.int64],
    user_ids: npt.NDArray[np.int64],
    tastes: npt.NDArray[np.int64],
    first: npt.NDArray[np.int64],
) -> tuple[pa.Table, npt.NDArray[np.bool_]]:
    """Return the ratings mart, and which games are in the catalogue."""
    import pyarrow as pa

    popularity, present = _popularity(draws, len(game_ids))
    second = (first + 1 + (draws.uniform(USERS) * (len(TASTES) - 1)).astype(np.int64)) % len(TASTES)
    users, items = _choices(draws, popularity, tastes, first, second)
    liking = np.where(tastes[items] == first[users], 2.0, np.where(tastes[items] == second[users], 1.4, -0.8))
    quality, mildness = 0.5 * draws.normal(len(game_ids)), 0.5 * draws.normal(USERS)
    values = _halves(6.1 + liking + quality[items] + mildness[users] + 0.9 * draws.normal(len(items)))
    began = (draws.uniform(USERS) * _DAYS).astype(np.int64)[users]
    days = _FIRST_DAY + began + (draws.uniform(len(items)) * (_DAYS - began)).astype(np.int64)
    # Some rated a game twice, as where two exports overlap: the second time half a point lower.
    again = draws.order(len(items))[:REPEATED]
    rows = np.concatenate([np.arange(len(items)), again])
    values = np.concatenate([values, np.maximum(values[again] - 0.5, 1.0)])
    order = draws.order(len(rows))
    rows = rows[order]
    columns = {USER_ID: user_ids[users[rows]], GAME_ID: game_ids[items[rows]], RATING: values[order]}
    return pa.table({**columns, "RATED_AT": pa.array(days[rows] * _DAY, pa.timestamp("us"))}), present


def _popularity(draws: _Draws, games: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return how often each game is chosen, with a long tail, and which games the catalogue holds."""
    ranked = draws.order(games)
    weights = np.empty(games)
    weights[ranked] = 1.0 / (np.arange(games) + 10.0)
    weights[ranked[games - UNRATED :]] = 0.0
    present = np.ones(games, dtype=bool)
    present[ranked[40 : 40 + ORPHANS]] = False
    return weights, present


def _halves(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.clip(np.floor(values * 2.0 + 0.5) / 2.0, 1.0, 10.0)


def _choices(
    draws: _Draws,
    popularity: npt.NDArray[np.float64],
    tastes: npt.NDArray[np.int64],
    first: npt.NDArray[np.int64],
    second: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return distinct (user, game) pairs: popular games more often, those of one's tastes much more often."""
    lengths = 12 + (6.0 / (draws.uniform(len(first)) + 0.05)).astype(np.int64)
    users, items = [], []
    for user in range(len(first)):
        weight = np.where(tastes == first[user], 12.0, np.where(tastes == second[user], 5.0, 1.0)) * popularity
        reach = np.cumsum(weight)
        chosen = np.unique(np.searchsorted(reach, draws.uniform(int(lengths[user])) * reach[-1], side="right"))
        users.append(np.full(len(chosen), user))
        items.append(chosen)
    return np.concatenate(users), np.concatenate(items)


def _games(
    draws: _Draws, game_ids: npt.NDArray[np.int64], tastes: npt.NDArray[np.int64], present: npt.NDArray[np.bool_]
) -> pa.Table:
    import pyarrow as pa

    vocabularies = list(TASTES.values())
    names = [name for taste in vocabularies for name in _names(draws, taste)]
    rows = [_game(draws, names[i], vocabularies[tastes[i]]) for i in range(len(names))]
    order = [i for i in draws.order(len(rows)) if present[i]]
    columns = {column: [rows[i][column] for i in order] for column in (DESCRIPTION, CATEGORIES, MECHANICS)}
    _spoil(columns)
    return pa.table({GAME_ID: game_ids[order], NAME: [names[i] for i in order], **columns})


def _names(draws: _Draws, taste: Taste) -> list[str]:
    pairs = [f"{adjective} {noun}" for adjective in taste.adjectives for noun in taste.nouns]
    return draws.pick(tuple(pairs), GAMES_PER_TASTE)


def _game(draws: _Draws, name: str, taste: Taste) -> dict[str, str | None]:
    sentences = [
        draws.pick(taste.openings, 1)[0].format(name=name),
        *draws.pick(taste.actions, 2 + draws.below(2)),
        *draws.pick(COMMON_SENTENCES, 1 + draws.below(2)),
        *draws.pick(taste.endings, 1),
    ]
    others = list(TASTES.values())
    tags = {CATEGORIES: list(taste.categories), MECHANICS: list(taste.mechanics)}
    for column, words in tags.items():
        chosen = draws.pick(tuple(words), 2 + draws.below(2))
        if draws.below(5) == 0:
            stranger = others[draws.below(len(others))]
            chosen.append(draws.pick(stranger.categories if column == CATEGORIES else stranger.mechanics, 1)[0])
        tags[column] = sorted(set(chosen))
    return {DESCRIPTION: " ".join(sentences), **{column: ", ".join(words) for column, words in tags.items()}}


def _spoil(columns: dict[str, list[str | None]]) -> None:
    """Put in what real catalogues hold, so that a run has something to repair and report."""
    descriptions, categories = columns[DESCRIPTION], columns[CATEGORIES]
    for row in range(0, 24, 4):
        descriptions[row] = f"{descriptions[row]} Rules &amp; cards in English; art by Ren&eacute;e M&uuml;ller."
    descriptions[1] = f"{descriptions[1]} Known in Japan as &#227;&#130;&#178;&#227;&#131;&#188;&#227;&#131;&#160;."
    descriptions[2] = None
    columns[MECHANICS][3] = None
    categories[5] = str((categories[5] or "").split(", "))
