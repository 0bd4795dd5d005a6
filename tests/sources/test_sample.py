"""The built-in warehouse: the same everywhere, and with groups that a correct model finds."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse as sp

from recsys.marts import RATINGS_TABLE
from recsys.marts.tags import split_tags
from recsys.marts.text import clean_games
from recsys.sources import Describes, open_source
from recsys.sources.sample import ORPHANS, REPEATED, UNRATED, sample_warehouse, taste_groups, user_groups
from recsys.sources.vocabulary import TASTES

if TYPE_CHECKING:
    import numpy.typing as npt

GAMES_QUERY = "SELECT GAME_ID, NAME, DESCRIPTION, CATEGORIES, MECHANICS FROM ANALYTICS.MART_GAMES"
RATINGS_QUERY = "SELECT USER_ID, GAME_ID, RATING FROM ANALYTICS.MART_USER_RATINGS"
CHANCE = 1 / len(TASTES)


def answer(sql: str) -> pd.DataFrame:
    """Return the sample's answer to a query."""
    with open_source("sample") as source:
        result = source.execute(sql)
        frame: pd.DataFrame = pa.Table.from_batches(result.batches, result.schema).to_pandas()
        assert result.rows_announced in {None, len(frame)}
        return frame


def digest(table: pa.Table) -> str:
    """Return a hash of a table's content, whatever its order."""
    rows = sorted(repr(row) for row in zip(*(column.to_pylist() for column in table.columns), strict=True))
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


@pytest.fixture(scope="module")
def games() -> pd.DataFrame:
    """Return the cleaned catalogue."""
    return clean_games(answer(GAMES_QUERY))[0]


@pytest.fixture(scope="module")
def ratings() -> pd.DataFrame:
    """Return the ratings, the highest of duplicates, sorted."""
    frame = answer(RATINGS_QUERY).sort_values(["USER_ID", "GAME_ID", "RATING"], ignore_index=True)
    return frame.drop_duplicates(["USER_ID", "GAME_ID"], keep="last", ignore_index=True)


def test_warehouse_never_changes() -> None:
    """The content is the one that this digest was taken of, on every machine and numpy."""
    made = sample_warehouse()
    assert digest(made.games)[:16] == "e959342b66d21266"
    assert digest(made.ratings)[:16] == "076466a8b845f80e"


def test_making_it_twice_gives_the_same() -> None:
    """Nothing but the seed goes in."""
    first = sample_warehouse()
    sample_warehouse.cache_clear()
    second = sample_warehouse()
    assert first is not second
    assert first.games.equals(second.games)
    assert first.ratings.equals(second.ratings)


def test_size_and_flaws() -> None:
    """It is as large as promised, unsorted, and has orphans, newcomers, duplicates and damaged text to report."""
    games, ratings = answer(GAMES_QUERY), answer(RATINGS_QUERY)
    assert len(games) == 400 - ORPHANS
    assert ratings.USER_ID.nunique() == 3000
    assert games.NAME.is_unique
    assert games.GAME_ID.is_unique
    assert not games.GAME_ID.is_monotonic_increasing
    assert not ratings.USER_ID.is_monotonic_increasing
    assert len(set(ratings.GAME_ID) - set(games.GAME_ID)) == ORPHANS
    assert len(set(games.GAME_ID) - set(ratings.GAME_ID)) == UNRATED
    assert ratings.duplicated(["USER_ID", "GAME_ID"]).sum() == REPEATED
    assert ratings.RATING.between(1, 10).all()
    assert set(clean_games(games)[1]) == {"HTML entities", "UTF-8 bytes as entities", "lists as text"}


def test_ratings_are_dated() -> None:
    """A time column is there for splits by time."""
    dated = answer("SELECT USER_ID, RATED_AT FROM ANALYTICS.MART_USER_RATINGS WHERE RATED_AT >= DATE '2024-01-01'")
    assert pd.api.types.is_datetime64_any_dtype(dated.RATED_AT)
    assert 1000 < len(dated) < 40_000


def test_popularity_has_a_long_tail(ratings: pd.DataFrame) -> None:
    """A tenth of the games takes a third of the ratings or more."""
    counts = ratings.GAME_ID.value_counts()
    assert counts.head(len(counts) // 10).sum() > len(ratings) / 3


def test_every_game_and_user_has_a_group(ratings: pd.DataFrame, games: pd.DataFrame) -> None:
    """The truth covers all ids, and groups are of equal size."""
    assert set(taste_groups()) == set(games.GAME_ID) | set(ratings.GAME_ID)
    assert set(user_groups()) == set(ratings.USER_ID)
    assert set(pd.Series(taste_groups()).value_counts()) == {50}


def test_people_rate_their_own_taste_higher(ratings: pd.DataFrame) -> None:
    """Games of a user's first taste are rated well above those of foreign ones."""
    own = ratings.GAME_ID.map(taste_groups()) == ratings.USER_ID.map(user_groups())
    assert ratings.RATING[own].mean() > ratings.RATING[~own].mean() + 1.0


def same_group(neighbours: npt.NDArray[np.int64], groups: npt.NDArray[Any]) -> float:
    """Return the share of neighbours in the group of the game that they were found for."""
    return float(np.mean(groups[neighbours] == groups[:, None]))


def nearest(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return the five most similar rows of each row by cosine."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = unit @ unit.T
    np.fill_diagonal(scores, -np.inf)
    return np.argsort(-scores, axis=1)[:, :5]


def test_texts_tell_the_groups(games: pd.DataFrame) -> None:
    """Games with similar tags share a group; with tags dealt out anew they do not."""
    lists = [a + b for a, b in zip(split_tags(games.CATEGORIES), split_tags(games.MECHANICS), strict=True)]
    words = {tag: i for i, tag in enumerate(sorted({tag for tags in lists for tag in tags}))}
    vectors = np.zeros((len(games), len(words)))
    for row, tags in enumerate(lists):
        vectors[row, [words[tag] for tag in tags]] = 1.0
    groups = games.GAME_ID.map(taste_groups()).to_numpy()
    assert same_group(nearest(vectors), groups) > 0.9
    assert same_group(nearest(np.random.default_rng(0).permutation(vectors)), groups) < 2 * CHANCE


@pytest.fixture(scope="module")
def matrix(ratings: pd.DataFrame) -> tuple[sp.csr_matrix, list[int], list[int]]:
    """Return liked games (users × games), and the ids of rows and columns."""
    users, rows = np.unique(ratings.USER_ID, return_inverse=True)
    items, columns = np.unique(ratings.GAME_ID, return_inverse=True)
    liked = (ratings.RATING >= 7).to_numpy(np.float32)
    made = sp.csr_matrix((liked, (rows, columns)), shape=(len(users), len(items)))
    made.eliminate_zeros()
    return made, users.tolist(), items.tolist()


def ndcg_at_10(scores: npt.NDArray[np.float64], seen: sp.csr_matrix, held: sp.csr_matrix) -> float:
    """Return the mean NDCG@10 of unseen games over users with held-out likes."""
    ranked = np.argsort(-np.where(seen.toarray() > 0, -np.inf, scores), axis=1)[:, :10]
    discount = 1 / np.log2(np.arange(2, 12))
    gains = (np.take_along_axis(held.toarray(), ranked, axis=1) * discount).sum(axis=1)
    sizes = np.minimum(np.diff(held.indptr), 10)
    ideal = np.concatenate([[0], np.cumsum(discount)])[sizes]
    return float(np.mean(gains[sizes > 0] / ideal[sizes > 0]))


def test_ratings_tell_the_groups_and_beat_popularity(
    matrix: tuple[sp.csr_matrix, list[int], list[int]],
) -> None:
    """Plain implicit finds the groups and twice popularity's NDCG; with its factors shuffled, neither."""
    from implicit.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    liked, _, items = matrix
    entries = liked.tocoo()
    rng = np.random.default_rng(1)
    test = rng.random(liked.nnz) < 0.2
    train, held = (
        sp.csr_matrix((entries.data[part], (entries.row[part], entries.col[part])), shape=liked.shape)
        for part in (~test, test)
    )
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(factors=16, regularization=200, alpha=20, random_state=1, num_threads=1)
        model.fit(train, show_progress=False)
    popular = np.tile(np.diff(train.tocsc().indptr).astype(float), (liked.shape[0], 1))
    baseline = ndcg_at_10(popular, train, held)
    assert ndcg_at_10(model.user_factors @ model.item_factors.T, train, held) > 2 * baseline
    shuffled = rng.permutation(model.user_factors)
    assert ndcg_at_10(shuffled @ model.item_factors.T, train, held) < baseline * 1.2
    groups = np.array([taste_groups()[item] for item in items])
    assert same_group(nearest(model.item_factors.astype(float)), groups) > 0.9


def test_the_sample_says_what_columns_it_has() -> None:
    """So that a first run names the setting that reads its dates."""
    with open_source("sample") as source:
        assert isinstance(source, Describes)
        assert source.column_types(RATINGS_TABLE)["RATED_AT"].startswith(("DATE", "TIMESTAMP"))
