"""Columns are found by name in any case, and refused where two differ in case alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pytest

from factories.tables import TableSource, WordEncoder, games, ratings
from recsys.config import Settings
from recsys.errors import DataContractError
from recsys.marts import MartQuery, Ratings, embedding_text
from recsys.marts.headings import twins
from recsys.models.cf import CollaborativeFilter
from recsys.models.content import RAGRecommender
from recsys.pipeline.reader import Warehouse
from recsys.sources import open_source
from recsys.sources.duckdb import DuckDBSource
from sources.test_sources import RATINGS, RATINGS_QUERY, write_folder

if TYPE_CHECKING:
    from pathlib import Path

TWINS = RATINGS.add_column(0, "rating", pa.array([1.0, 1.0, 1.0]))
EXACT = RATINGS.append_column("RATING", pa.array([1.0, 1.0, 1.0]))
BOTH = r"differ in case alone: rating and RATING\. Which one counts\? Rename or drop all but one"


@pytest.mark.parametrize(
    ("present", "wanted", "found"),
    [
        (["A", "b"], None, []),
        (["a", "A", "b", "B", "B"], None, [("a", "A"), ("b", "B", "B")]),
        (["a", "A", "b", "B"], ["B"], [("b", "B")]),
        (["a", "A"], ["c"], []),
        ([1, "1"], None, [("1", "1")]),
    ],
    ids=["none", "all", "those asked for", "not asked for", "no texts"],
)
def test_twins_are_found(present: list[object], wanted: list[str] | None, found: list[tuple[str, ...]]) -> None:
    """In the order of the columns, and only those that are asked for."""
    assert twins(present, wanted) == found


@pytest.mark.parametrize("sql", [RATINGS_QUERY, RATINGS_QUERY.lower(), "SELECT * FROM ANALYTICS.MART_USER_RATINGS"])
def test_a_parquet_file_with_twins_is_refused(tmp_path: Path, sql: str) -> None:
    """DuckDB would take the first in the file without a word."""
    with (
        open_source(str(write_folder(tmp_path, "parquet", ratings=TWINS))) as source,
        pytest.raises(DataContractError, match=f"ANALYTICS.MART_USER_RATINGS of .*{BOTH}"),
    ):
        source.execute(sql)


def test_a_query_of_ones_own_is_refused_where_it_names_twins(tmp_path: Path) -> None:
    """A query with an alias is not read as columns of a table; that it names them is seen all the same."""
    folder = str(write_folder(tmp_path, "parquet", ratings=TWINS))
    with open_source(folder) as source:
        with pytest.raises(DataContractError, match=BOTH):
            source.execute("SELECT max(r.Rating) FROM ANALYTICS.MART_USER_RATINGS r")
        assert source.execute("SELECT max(USER_ID) FROM ANALYTICS.MART_USER_RATINGS").schema.names


def test_tables_with_twins_are_refused() -> None:
    """Arrow tables may have them too, even of one spelling."""
    with (
        DuckDBSource.from_tables({"ANALYTICS.MART_USER_RATINGS": EXACT}, "tables") as source,
        pytest.raises(DataContractError, match="RATING and RATING"),
    ):
        source.execute(RATINGS_QUERY)


@pytest.mark.parametrize("table", [RATINGS.rename_columns(["user_id", "Game_Id", "rating"]), RATINGS])
def test_one_column_is_found_in_any_case(tmp_path: Path, table: pa.Table) -> None:
    """Where nothing is to be chosen; twins that nobody asks for are nobody's business."""
    more = table.append_column("note", pa.array([1, 2, 3])).append_column("NOTE", pa.array([1, 2, 3]))
    with open_source(str(write_folder(tmp_path, "parquet", ratings=more))) as source:
        assert pa.Table.from_batches(source.execute(RATINGS_QUERY).batches)[2].to_pylist() == [8.5, 7.0, 1.0]


def test_an_answer_with_twins_is_refused() -> None:
    """Whatever source it comes from: the last of them would be the column."""
    warehouse = Warehouse(Settings(), {}, TableSource(pa.table({}), TWINS))
    with pytest.raises(DataContractError, match=f"the answer of tables: .*{BOTH}"):
        warehouse.fetch(MartQuery.of_ratings(Settings().source))


@pytest.mark.parametrize("frame", [ratings().assign(rating=1.0), pd.concat([ratings(), ratings()[["RATING"]]], axis=1)])
def test_a_frame_of_ratings_with_twins_is_refused(frame: pd.DataFrame) -> None:
    """By fit as by the contract, with the names."""
    for fit in (CollaborativeFilter().fit, Ratings.from_frame):
        with pytest.raises(DataContractError, match=r"named twice but for case: RATING and rating|repeated: RATING"):
            fit(frame)


@pytest.mark.parametrize("name", ["Name", "game_id", "NAME"])
def test_a_frame_of_games_with_twins_is_refused(name: str) -> None:
    """Its id, and what its texts are made of."""
    frame = games()
    frame.insert(0, name, "x", allow_duplicates=True)
    twice = "have NAME more than once" if name == "NAME" else f"differ in case alone: {name} and {name.upper()}"
    with pytest.raises(DataContractError, match=twice):
        RAGRecommender(embedding_model=WordEncoder()).fit(frame)
    if name != "game_id":
        with pytest.raises(DataContractError, match=twice):
            embedding_text(frame)
