"""The queries of the marts: their text is the contract's, and what they ask for is read out of texts again."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.config import SourceSettings
from recsys.marts.query import MartQuery
from recsys.marts.reserved import spelled

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_$]*", fullmatch=True)
TABLES = st.lists(NAMES, min_size=1, max_size=3).map(".".join)


def test_the_two_queries_are_the_contract_s_to_the_byte() -> None:
    """With default settings both texts are those of the design."""
    games, ratings = MartQuery.of_games(SourceSettings()), MartQuery.of_ratings(SourceSettings())
    assert games == "SELECT GAME_ID, NAME, DESCRIPTION, CATEGORIES, MECHANICS FROM ANALYTICS.MART_GAMES"
    assert ratings == "SELECT USER_ID, GAME_ID, RATING FROM ANALYTICS.MART_USER_RATINGS"


def test_settings_add_columns_and_name_tables() -> None:
    """A time joins query 2 as it is spelled, more columns of games join query 1 in upper case."""
    source = SourceSettings(
        games_table="g", ratings_table="a.b.r", time_column="rated_at", game_columns="Year, Players"
    )
    assert MartQuery.of_games(source).endswith(", MECHANICS, YEAR, PLAYERS FROM g")
    assert MartQuery.of_ratings(source) == "SELECT USER_ID, GAME_ID, RATING, rated_at FROM a.b.r"


def test_a_reserved_word_is_a_column_and_no_part_of_sql() -> None:
    """Unquoted, ``ORDER`` would break the query and ``CURRENT_TIMESTAMP`` would be the time of now."""
    source = SourceSettings(games_table="a.table", time_column="current_timestamp", game_columns="order, YEAR")
    assert MartQuery.of_games(source).endswith(', MECHANICS, "ORDER", YEAR FROM a."TABLE"')
    assert MartQuery.of_ratings(source).startswith('SELECT USER_ID, GAME_ID, RATING, "CURRENT_TIMESTAMP" FROM')


def test_every_word_that_duckdb_reserves_is_known() -> None:
    """Its own list of keywords, each tried as the name of a column."""
    connection = duckdb.connect()
    words = [word for (word,) in connection.execute("SELECT DISTINCT keyword_name FROM duckdb_keywords()").fetchall()]
    for word in words:
        connection.execute(f'CREATE OR REPLACE TABLE named AS SELECT 7 AS "{word}"')
        assert connection.execute(f"SELECT {spelled(word)} FROM named").fetchall() == [(7,)], word


@given(st.lists(NAMES, min_size=1, max_size=4), TABLES)
def test_a_query_is_read_out_of_its_own_text(columns: list[str], table: str) -> None:
    """What the text was made of comes back, whoever passed the text on as a plain string."""
    query = MartQuery(columns, table)
    again = MartQuery.read(str.__str__(query))
    assert again is not None
    assert (again, again.columns, again.table) == (query, tuple(columns), table)
    assert MartQuery.read(query) is query


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("select a ,\n b from t ;", ("a", "b")),
        ("  SELECT * FROM t", ("*",)),
        ('SELECT "a b", c FROM t', ('"a b"', "c")),
    ],
)
def test_other_spellings_of_a_plain_query_are_read(sql: str, columns: tuple[str, ...]) -> None:
    """Case, blanks, a semicolon and quotes change nothing."""
    query = MartQuery.read(sql)
    assert query is not None
    assert (query.columns, query.table) == (columns, "t")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a FROM t WHERE a > 1",
        "SELECT a AS b FROM t",
        "SELECT COUNT(*) FROM t",
        "SELECT a FROM t, u",
        "SELECT DISTINCT a FROM t",
        "SELECT a FROM t; DROP TABLE t",
        "DROP TABLE t",
    ],
)
def test_what_asks_for_more_is_no_plain_query(sql: str) -> None:
    """Nothing is claimed of a text that is not the columns of one table."""
    assert MartQuery.read(sql) is None
