"""Values through Snowflake's protocol: exact, of one type, complete, in order."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pytest

from recsys.errors import QueryFailed, TruncatedResult
from recsys.marts import frame_of
from recsys.marts.cells import ARROW_TYPES

if TYPE_CHECKING:
    from standins.snowflake.fixtures import Warehouse

pytest_plugins = ["standins.snowflake.fixtures"]

FROM = "FROM ANALYTICS.MART_GAMES"


def values(numbers: list[int | None], kind: str) -> str:
    """Return DuckDB's SQL for a table of one column N, in the given order."""
    rows = ", ".join(f"({place}, {'NULL' if number is None else number})" for place, number in enumerate(numbers))
    return f"SELECT N::{kind} AS N FROM (VALUES {rows}) AS t(place, N) ORDER BY place"


# One number a chunk, so that the service chooses another width for each.
WIDTHS = [1, -128, 2**15, -(2**31), 2**40, 2**53 + 1, 2**63 - 1, -(2**63), None, 0]


def test_integers_keep_their_digits_whatever_width_they_come_in(warehouse: Warehouse) -> None:
    """Chunks of int8, int16, int32 and int64 are one int64 column, beyond 2^53 and with nulls too."""
    warehouse.table("MART_GAMES", values(WIDTHS, "BIGINT"))
    warehouse.service.set(chunks=len(WIDTHS))
    table = warehouse.fetch(f"SELECT N {FROM}")
    assert table.schema == pa.schema([("N", pa.int64())])
    assert table.column("N").to_pylist() == WIDTHS


@pytest.mark.parametrize("place", [0, 4, 9])
def test_one_number_beyond_int64_makes_the_column_decimal(place: int, warehouse: Warehouse) -> None:
    """Wherever it stands, the first chunk or the last: nothing is rounded, nothing refused."""
    numbers: list[int | None] = [5, 300, None, 2**40, 7, 8, 9, -1, 0]
    numbers.insert(place, 10**37 + 1)
    warehouse.table("MART_GAMES", values(numbers, "DECIMAL(38, 0)"))
    warehouse.service.set(chunks=10)
    column = warehouse.fetch(f"SELECT N {FROM}").column("N")
    assert column.type == pa.decimal128(38, 0)
    assert [None if number is None else int(number) for number in column.to_pylist()] == numbers


@pytest.mark.parametrize("encoded", [["N"], []])
def test_a_frame_takes_numbers_that_widen_on_the_way(encoded: list[str], warehouse: Warehouse) -> None:
    """Ids and plain columns keep their digits before and after the chunk that int64 does not hold."""
    numbers: list[int | None] = [5, 2**53 + 1, None, 10**37 + 1, -(10**37), 5]
    warehouse.table("MART_GAMES", values(numbers, "DECIMAL(38, 0)"))
    warehouse.service.set(chunks=len(numbers))
    with warehouse.open() as source:
        result = source.execute(f"SELECT N {FROM}")
        frame = frame_of(result.schema, result.batches, frozenset(encoded))
    assert [None if pd.isna(number) else number for number in frame["N"].tolist()] == numbers
    assert frame.attrs[ARROW_TYPES] == {"N": "decimal128(38, 0)"}


@pytest.mark.parametrize("digits", [18, 38])
def test_an_integer_column_streams(digits: int, warehouse: Warehouse) -> None:
    """It is int64 from its description on, however many digits it may have: no chunk is waited for."""
    warehouse.table("MART_GAMES", values(list(range(1, 9)), f"DECIMAL({digits}, 0)"))
    warehouse.service.set(chunks=4)
    warehouse.service.fault("later", "short")
    with warehouse.open() as source:
        result = source.execute(f"SELECT N {FROM}")
        assert result.schema == pa.schema([("N", pa.int64())])
        assert next(result.batches).column("N").to_pylist() == [1, 2]
        with pytest.raises(TruncatedResult):
            list(result.batches)


def test_every_other_type_arrives_exactly(warehouse: Warehouse) -> None:
    """Texts in any script, dates, times, booleans, numbers with a fraction, and nulls of all."""
    warehouse.table(
        "MART_GAMES",
        """SELECT * FROM (VALUES
            (1, 'Zoë 桂馬 🎲', 7.5::DECIMAL(4, 2), 0.1::DOUBLE, DATE '1889-09-23', TRUE,
             TIMESTAMP '2026-01-02 03:04:05.678901', TIMESTAMPTZ '2026-01-02 03:04:05+01'),
            (2, '', 0.01::DECIMAL(4, 2), -1e300::DOUBLE, DATE '9999-12-31', FALSE,
             TIMESTAMP '1900-01-01 00:00:00', TIMESTAMPTZ '1999-12-31 23:59:59+00'),
            (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL)
        ) AS t(ID, T, P, F, D, B, N, Z) ORDER BY ID""",
    )
    warehouse.service.set(chunks=3)
    table = warehouse.fetch(f"SELECT T, P, F, D, B, N, Z {FROM}")
    kinds = [
        pa.string(),
        pa.float64(),
        pa.float64(),
        pa.date32(),
        pa.bool_(),
        pa.timestamp("us"),
        pa.timestamp("us", "UTC"),
    ]
    assert table.schema.types == kinds
    assert table.to_pylist() == [
        {
            "T": "Zoë 桂馬 🎲",
            "P": 7.5,
            "F": 0.1,
            "D": date(1889, 9, 23),
            "B": True,
            "N": datetime(2026, 1, 2, 3, 4, 5, 678901),  # noqa: DTZ001 - a time without a zone
            "Z": datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC),
        },
        {
            "T": "",
            "P": 0.01,
            "F": -1e300,
            "D": date(9999, 12, 31),
            "B": False,
            "N": datetime(1900, 1, 1),  # noqa: DTZ001 - a time without a zone
            "Z": datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC),
        },
        dict.fromkeys("TPFDBNZ"),
    ]


def test_an_empty_result_has_its_columns(warehouse: Warehouse) -> None:
    """No rows: the schema is there, the announced count is 0, nothing is raised by the source."""
    warehouse.table("MART_GAMES", "SELECT 1 AS GAME_ID, 'x' AS NAME WHERE FALSE")
    table = warehouse.fetch(f"SELECT GAME_ID, NAME {FROM}")
    assert table.num_rows == 0
    assert table.schema == pa.schema([("GAME_ID", pa.int64()), ("NAME", pa.string())])


def test_ten_chunks_come_complete_and_in_order(warehouse: Warehouse) -> None:
    """Chunks are downloaded side by side, and handed out in the order of the result."""
    warehouse.table("MART_GAMES", "SELECT range AS N, 'game ' || range AS NAME FROM range(10007)")
    warehouse.service.set(chunks=10)
    table = warehouse.fetch(f"SELECT N, NAME {FROM}")
    assert table.column("N").to_pylist() == list(range(10007))
    assert table.column("NAME").to_pylist() == [f"game {number}" for number in range(10007)]


def test_query_ids_and_row_counts_are_kept(warehouse: Warehouse) -> None:
    """They are what Snowflake's own query history knows the run by."""
    warehouse.table("MART_GAMES", "SELECT range AS N FROM range(30)")
    warehouse.service.set(chunks=3)
    with warehouse.open() as source:
        first, second = (source.execute(f"SELECT N {FROM}") for _ in range(2))
    assert first.rows_announced == second.rows_announced == 30
    assert first.query_id
    assert first.query_id != second.query_id


def test_rows_sent_as_json_are_refused(warehouse: Warehouse) -> None:
    """An account that insists on JSON results would send numbers as texts: said, not guessed."""
    warehouse.table("MART_GAMES", "SELECT range AS N FROM range(30)")
    warehouse.service.set(json_results=True)
    with pytest.raises(QueryFailed, match="as JSON"):
        warehouse.fetch(f"SELECT N {FROM}")


def test_the_types_of_a_tables_columns_are_told(warehouse: Warehouse) -> None:
    """In Snowflake's words, without a row being read."""
    warehouse.table("MART_USER_RATINGS", "SELECT 1 AS USER_ID, 'x' AS NOTE, TIMESTAMP '2024-05-01' AS RATED_AT")
    with warehouse.open() as source:
        types = source.column_types("ANALYTICS.MART_USER_RATINGS")
    assert types == {"USER_ID": "FIXED", "NOTE": "TEXT", "RATED_AT": "TIMESTAMP_NTZ"}
