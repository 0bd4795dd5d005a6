"""Small marts with a known answer, and stand-ins for what is slow: for tests of the whole pipeline."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from recsys.sources import QueryResult, Source

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa

SHELVES = ("economic", "fantasy", "trains", "wordplay")
"""Games g belong to shelf g % 4, users u to the club u % 4 that likes this shelf."""

RECIPE = {"factors": 8, "threads": 1, "tuning": "off"}
"""Settings of the section ``cf`` that learn these clubs: the default λ is for real tables."""

USERS, GAMES = 80, 40
FIRST_GAME = 100


def games() -> pd.DataFrame:
    """Return 40 games whose texts name their shelf, in no order."""
    ids = np.arange(FIRST_GAME, FIRST_GAME + GAMES)
    shelf = [SHELVES[id_ % 4] for id_ in ids]
    frame = pd.DataFrame(
        {
            "GAME_ID": ids,
            "NAME": [f"The {word.title()} Game {id_}" for id_, word in zip(ids, shelf, strict=True)],
            "DESCRIPTION": [f"A game of {word}, all about {word}." for word in shelf],
            "CATEGORIES": [word.title() for word in shelf],
            "MECHANICS": "Hand Management",
        }
    )
    return frame.sample(frac=1, random_state=5, ignore_index=True)


def ratings(seed: int = 0) -> pd.DataFrame:
    """Return ratings: each user has rated 6 games of the own shelf with 8–10, 3 others with 1–3."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(USERS):
        own = rng.permutation(np.arange(user % 4, GAMES, 4))[:6]
        others = rng.permutation([game for game in range(GAMES) if game % 4 != user % 4])[:3]
        rows += [(user, FIRST_GAME + game, float(rng.integers(8, 11))) for game in own]
        rows += [(user, FIRST_GAME + game, float(rng.integers(1, 4))) for game in others]
    return pd.DataFrame(rows, columns=["USER_ID", "GAME_ID", "RATING"])


def write_marts(
    folder: Path, games_frame: pd.DataFrame | None = None, ratings_frame: pd.DataFrame | None = None
) -> Path:
    """Write both marts as Parquet files into a folder, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    (games() if games_frame is None else games_frame).to_parquet(folder / "mart_games.parquet")
    (ratings() if ratings_frame is None else ratings_frame).to_parquet(folder / "mart_user_ratings.parquet")
    return folder


class WordEncoder:
    """An encoder in microseconds: a text is the normalised sum of one fixed random vector a word."""

    dimension = 384
    recipe: ClassVar = {"version": "1", "revision": "words", "precision": "float32", "max_length": "none"}
    runs_on: ClassVar = {"engine": "words", "device": "cpu"}

    def encode(self, texts: Sequence[str]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        """Return unit vectors, float32, (texts, 384)."""
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
                np.add(row, np.random.default_rng(seed).standard_normal(self.dimension), out=row, casting="same_kind")
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        return rows


class TableSource(Source):
    """A source over two Arrow tables, which can be told to promise more rows than it sends."""

    name = "tables"

    def __init__(self, games_table: pa.Table, ratings_table: pa.Table, *, announced: int | None = None) -> None:
        self.tables = {"ANALYTICS.MART_GAMES": games_table, "ANALYTICS.MART_USER_RATINGS": ratings_table}
        self.announced = announced
        self.queries: list[str] = []

    def execute(self, sql: str) -> QueryResult:
        """Answer with the table that the query names."""
        self.queries.append(sql)
        table = self.tables[sql.rsplit(" ", 1)[1]]
        return QueryResult(table.schema, iter(table.to_batches(max_chunksize=100)), self.announced)

    def close(self) -> None:
        """Do nothing."""
