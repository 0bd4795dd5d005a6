"""Tables that somebody hands to ``fit``: what is no plain frame is named, and odd frames work."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from factories.tables import WordEncoder, games
from recsys.config import CfSettings
from recsys.errors import DataContractError, EmptyResult
from recsys.marts import Ratings, embedding_text
from recsys.models import CollaborativeFilter, RAGRecommender

RATINGS = pd.DataFrame(
    {"USER_ID": [1, 1, 2, 2, 3], "GAME_ID": [10, 20, 10, 30, 20], "RATING": [8.0, 6.0, 7.0, 9.0, 5.0]}
)
DENSE = [[8.0, 6.0, 0.0], [7.0, 0.0, 9.0], [0.0, 5.0, 0.0]]
PLAIN = CfSettings(tuning="off", factors=2, iterations=1)


class Polars:
    """A table of another library, with names of columns and no index."""

    columns = ("USER_ID", "GAME_ID", "RATING")

    def to_pandas(self) -> None:
        """Fail the test."""
        raise AssertionError("nothing is converted unasked")


class Lazy:
    """A query of another library."""

    def collect(self) -> None:
        """Fail the test."""
        raise AssertionError("nothing is run unasked")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (None, r"nothing \(None\)"),
        (RATINGS.to_dict("list"), r"of type dict; make one with pandas.DataFrame"),
        (RATINGS.to_dict("records"), r"of type list; make one with pandas.DataFrame"),
        (RATINGS.to_numpy(), r"of type numpy.ndarray; make one with pandas.DataFrame"),
        (pa.Table.from_pandas(RATINGS), r"of type pyarrow.lib.Table; call its .to_pandas\(\)"),
        (Polars(), r"Polars; call its .to_pandas\(\)"),
        (Lazy(), r"Lazy; call its .collect\(\).to_pandas\(\)"),
        (RATINGS["RATING"], r"Series; call its .to_frame\(\)"),
        ("ratings.parquet", "of type str; read or make one first"),
        (pd.concat([RATINGS], axis=1, keys=["USER_ID"]), r"on 2 levels \(such as \('USER_ID', 'USER_ID'"),
    ],
)  # fmt: skip
def test_no_plain_frame_is_named_by_both_fits(table: Any, words: str) -> None:
    """With what makes a frame of it."""
    with pytest.raises(DataContractError, match=words):
        CollaborativeFilter(PLAIN).fit(table)
    with pytest.raises(DataContractError, match=words):
        RAGRecommender(embedding_model=WordEncoder()).fit(table)
    with pytest.raises(DataContractError, match=words):
        embedding_text(table)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pd.concat([RATINGS, RATINGS[["USER_ID"]]], axis=1), "1 column repeated: USER_ID; keep one of each"),
        (pd.concat([RATINGS, RATINGS[["RATING"]]], axis=1), "1 column repeated: RATING"),
        (RATINGS.set_index(["USER_ID", "GAME_ID"]), r"USER_ID, GAME_ID is in the index: call .reset_index\(\)"),
        (pd.DataFrame(RATINGS.to_numpy()), "3 columns missing: USER_ID, GAME_ID, RATING; the columns are 0, 1, 2"),
    ],
)
def test_columns_of_ratings_that_are_not_there_once_are_named(frame: pd.DataFrame, words: str) -> None:
    """Missing, repeated, or in the index."""
    with pytest.raises(DataContractError, match=words):
        CollaborativeFilter(PLAIN).fit(frame)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pd.concat([games(), games()[["NAME"]]], axis=1), "the games have NAME more than once"),
        (pd.concat([games(), games()[["GAME_ID"]]], axis=1), "the games have GAME_ID more than once"),
        (games().set_index("GAME_ID"), r"no column GAME_ID.*GAME_ID is in the index: call .reset_index\(\)"),
        (games().assign(embedding_text="\ud83d"), r"holds half a character .*game \d+: '\\ud83d'"),
    ],
)
def test_columns_of_games_that_are_no_texts_once_are_named(frame: pd.DataFrame, words: str) -> None:
    """Missing, repeated, in the index, or with half a character, which no model takes."""
    with pytest.raises(DataContractError, match=words):
        RAGRecommender(embedding_model=WordEncoder()).fit(frame)


def test_ratings_without_rows_are_told_apart() -> None:
    """They are empty, not broken."""
    with pytest.raises(EmptyResult, match="no rows"):
        CollaborativeFilter(PLAIN).fit(RATINGS.iloc[:0])


def with_unused_category(column: pd.Series) -> pd.Categorical:
    """Return ids as categories of floats, one of which is no id, and of no row."""
    return pd.Categorical(column.astype(float), categories=[0.5, *sorted(column.astype(float).unique())])


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({name: RATINGS[name].to_numpy().astype(">f8") for name in RATINGS}),
        pa.Table.from_pandas(RATINGS).to_pandas(types_mapper=pd.ArrowDtype),
        RATINGS.convert_dtypes(),
        RATINGS.astype(object),
        RATINGS.astype("category"),
        RATINGS.astype(pd.SparseDtype("float")),
        RATINGS.assign(USER_ID=with_unused_category(RATINGS["USER_ID"])),
        RATINGS.set_index([RATINGS["USER_ID"].rename("a"), RATINGS["GAME_ID"].rename("b")]),
        RATINGS.set_index(np.zeros(len(RATINGS))),
        RATINGS.assign(more=1).rename(columns={"more": None}),
        pd.concat([RATINGS.assign(x=1), RATINGS.assign(x=1)[["x"]]], axis=1),
        RATINGS.assign(RATING=pd.Series([Decimal(8), 6, np.float32(7), "9", 5.0], dtype=object)),
    ],
)  # fmt: skip
def test_odd_frames_with_plain_values_work(frame: pd.DataFrame) -> None:
    """Byte orders, Arrow's and nullable types, gaps, categories, indexes and columns that are not read."""
    ratings = Ratings.from_frame(frame)
    assert ratings.matrix.toarray().tolist() == DENSE
    assert ratings.users.ids() == [1, 2, 3]


def test_a_broken_rule_of_a_foreign_byte_order_is_named() -> None:
    """Naming rows takes no other way than reading them."""
    frame = RATINGS.assign(RATING=np.array([-1.0] * 5, ">f8"))
    with pytest.raises(DataContractError, match=r"game 10 rating -1.0"):
        Ratings.from_frame(frame)


def first(value: Any, others: Any = 1) -> pd.Series:
    """Return a column of Python objects, the first of which differs."""
    return pd.Series([value] + [others] * (len(RATINGS) - 1), dtype=object)


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (first(pd.NA, 2**70), "1 rating with a null or blank USER_ID"),
        (first(Decimal("Infinity")), r"numbers that are not finite \(Infinity\)"),
        (first(Decimal("sNaN"), 2**70), "1 rating with a null or blank USER_ID"),
        (first(10**50), "more than 38 digits"),
        (first(value=True), r"mixed kinds \(among them bool\)"),
        (first(1.0, others=True), r"mixed kinds \(among them bool\)"),
        (first("\ud800x", "y"), "half a character"),
        (first(object(), object()), "values of type object"),
        (np.array([1j] * 5), "values of type complex"),
    ],
)
def test_values_that_are_no_ids_are_named(ids: Any, words: str) -> None:
    """Whatever pandas or Arrow would make of them."""
    with pytest.raises(DataContractError, match=words):
        Ratings.from_frame(RATINGS.assign(USER_ID=ids))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (pd.Timestamp("2020-01-01"), r"5 ratings whose RATING is datetime64\[\w+\], not a number"),
        (pd.Timestamp("2020-01-01", tz="UTC"), r"is datetime64\[\w+, UTC\], not a number"),
        (pd.Timedelta("3s"), r"is timedelta64\[ns\], not a number"),
        (pd.Period("2020-01"), r"is period\[M\], not a number"),
        (True, "5 ratings whose RATING is bool, not a number"),
        (pd.array([True] * 5, dtype="boolean"), "is boolean, not a number"),
        (pd.Categorical([True] * 5), "is bool, not a number"),
        (1j, "is complex128, not a number"),
        (first(value=True, others=5.0), "1 rating whose RATING is bool, not a number; send it as a number"),
        (first([7], 5.0), "1 rating whose RATING is list, not a number"),
        (first(pd.Timestamp("2020-01-01"), 5.0), "1 rating whose RATING is Timestamp, not a number"),
        (first(10**400, 5.0), "1 rating whose RATING is infinite"),
        (first("\ud800", 5.0), r"is not a number \(such as game 10 rating \\ud800\)"),
    ],
)
def test_ratings_that_are_no_numbers_are_named(values: Any, words: str) -> None:
    """A time, a length of time or a boolean is no rating, though all of them convert to numbers."""
    with pytest.raises(DataContractError, match=words):
        Ratings.from_frame(RATINGS.assign(RATING=values))
