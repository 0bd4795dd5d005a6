"""An export into Snowflake, by the real connector against the stand-in."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from factories.exported import BATCHES, ROWS, SCHEMA, batches, small_table
from recsys.config import SnowflakeSettings
from recsys.errors import AuthenticationFailed, ConfigError, QueryFailed, TruncatedResult
from recsys.export import Table, export, open_target
from standins.snowflake.canaries import ACCESS_TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from standins.snowflake.fixtures import Warehouse

pytest_plugins = ["standins.snowflake.fixtures"]

SETTINGS = SnowflakeSettings(deadline_s=120, login_timeout_s=20, network_timeout_s=5)
NAME = "WAREHOUSE_DB.ANALYTICS.LISTS"


@pytest.fixture
def writer(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """Return a stand-in that ``SNOWFLAKE_EXPORT_*`` leads to, without the table; the reading variables are wrong."""
    for name in [name for name in os.environ if name.startswith("SNOWFLAKE_")]:
        monkeypatch.delenv(name)
    for name, value in {**warehouse.address(), "role": "WRITER", "token": ACCESS_TOKEN}.items():
        monkeypatch.setenv(f"SNOWFLAKE_EXPORT_{name.upper()}", value)
    monkeypatch.setenv("SNOWFLAKE_ROLE", "READER_MUST_NOT_WRITE")
    warehouse.service.duckdb(f"DROP TABLE IF EXISTS {NAME}", f"DROP TABLE IF EXISTS {NAME}__EXPORT")
    return warehouse


def put(release: str, schema: pa.Schema = SCHEMA, *, recreate: bool = False) -> int:
    """Export a small table; return the number of its rows."""
    return export(small_table(release, schema), open_target("snowflake", "LISTS", SETTINGS), recreate=recreate).rows


def held(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    """Return the rows of the table."""
    fetched = warehouse.fetch(f"SELECT * FROM {NAME} ORDER BY RANK, USER_ID", require_read_only=False)
    return list(zip(*(column.to_pylist() for column in fetched.columns), strict=True))


def expected(release: str) -> list[tuple[Any, ...]]:
    """Return the rows that a release's small table has."""
    table = pa.Table.from_batches(batches(release))
    return sorted(zip(*(column.to_pylist() for column in table.columns), strict=True), key=lambda row: (row[1], row[0]))


def statements(warehouse: Warehouse) -> list[str]:
    """Return the statements that change something."""
    return [sql for sql in warehouse.service.seen()["statements"] if not sql.startswith(("SELECT", "PUT 'file://part"))]


def test_a_table_is_made_and_then_overwritten_by_one_statement(writer: Warehouse) -> None:
    """All rows arrive as they are; grants stay with a table that is overwritten; nothing is left beside it."""
    assert put("old") == 3 * ROWS
    assert held(writer) == expected("old")
    writer.service.reset()
    assert put("new") == 3 * ROWS
    assert held(writer) == expected("new")
    seen = statements(writer)
    changing = [sql for sql in seen if "LISTS " in sql or sql.endswith("LISTS")]
    assert len(changing) == 1
    assert changing[0].startswith(f"INSERT OVERWRITE INTO {NAME} (USER_ID, RANK, GAME_ID, SCORE) SELECT USER_ID,")
    assert seen[-1] == f"DROP TABLE IF EXISTS {NAME}__EXPORT"


def test_other_columns_are_refused_unless_asked_for(writer: Warehouse) -> None:
    """Before a row is sent; made anew, the table keeps its grants."""
    put("old")
    other = pa.schema([*SCHEMA, ("BECAUSE", pa.int64())])
    writer.service.reset()
    with pytest.raises(ConfigError, match=r"other columns: BECAUSE is not there.*--recreate"):
        put("new", other)
    assert statements(writer) == ["USE SECONDARY ROLES NONE"]
    assert held(writer) == expected("old")
    put("new", other, recreate=True)
    assert [row[:4] for row in held(writer)] == expected("new")
    assert any(sql.startswith(f"CREATE OR REPLACE TABLE {NAME} COPY GRANTS AS SELECT") for sql in statements(writer))


def test_recreating_what_need_not_be_is_no_harm(writer: Warehouse) -> None:
    """Where there is no table one is made; where the columns are the same, rows alone change, and grants stay."""
    assert put("old", recreate=True) == 3 * ROWS
    writer.service.reset()
    put("new", recreate=True)
    assert held(writer) == expected("new")
    assert any(sql.startswith(f"INSERT OVERWRITE INTO {NAME}") for sql in statements(writer))


def test_vectors_and_ids_of_any_size_arrive(writer: Warehouse) -> None:
    """Lists of numbers, decimals, times and nulls; of numbers beyond 64 bits the stand-in knows nothing."""
    schema = pa.schema(
        [("GAME_ID", pa.decimal128(38, 0)), ("EMBEDDING", pa.list_(pa.float32())), ("MADE_AT", pa.timestamp("us"))]
    )
    rows = [
        pa.array([2**62, 7], schema[0].type),
        pa.array([[0.5, -1.25], []], schema[1].type),
        pa.array([1_700_000_000_123_456, None], pa.int64()).cast(schema[2].type),
    ]
    table = Table("embeddings", "r", "X", schema, iter([pa.RecordBatch.from_arrays(rows, schema=schema)]), 2)
    export(table, open_target("snowflake", "LISTS", SETTINGS))
    fetched = writer.fetch(f"SELECT GAME_ID, MADE_AT FROM {NAME} ORDER BY GAME_ID", require_read_only=False)
    assert [int(id_) for id_ in fetched["GAME_ID"].to_pylist()] == [7, 2**62]
    assert [str(time) for time in fetched["MADE_AT"].to_pylist()] == ["None", "2023-11-14 22:13:20.123456"]
    vectors = writer.fetch(f"SELECT EMBEDDING FROM {NAME} WHERE GAME_ID > 7", require_read_only=False)
    assert [float(x) for x in str(vectors["EMBEDDING"][0].as_py()).strip("[]").split(",")] == [0.5, -1.25]


def put_with(before_batch: Callable[[int], None]) -> None:
    """Export the new table; call a function before each batch, with its number, and once more after the last."""
    table = small_table("new")
    with open_target("snowflake", "LISTS", SETTINGS).replaced(table.schema, recreate=False) as write:
        for number, batch in enumerate(table.batches):
            before_batch(number)
            write(batch)
        before_batch(BATCHES)


@pytest.mark.parametrize("number", range(BATCHES + 1))
def test_a_failing_statement_leaves_the_old_table(writer: Warehouse, number: int) -> None:
    """Wherever it fails, it is our error, and the table is as it was; the next export succeeds."""
    put("old")

    def fail(batch: int) -> None:
        if batch == number:
            writer.service.fault("query", "code", code="003001", message="Insufficient privileges")

    with pytest.raises(QueryFailed, match=r"Insufficient privileges.*\[code 3001\]"):
        put_with(fail)
    writer.service.set(faults=[])
    assert held(writer) == expected("old")
    put("next")
    assert held(writer) == expected("next")


def test_rows_that_are_lost_on_the_way_are_missed(writer: Warehouse) -> None:
    """What was loaded is counted before it is put in place."""
    put("old")

    def lose(batch: int) -> None:
        if batch == BATCHES:
            writer.service.duckdb(f"DELETE FROM {NAME}__EXPORT WHERE rowid = 3")

    with pytest.raises(TruncatedResult, match=r"599 of 600 rows"):
        put_with(lose)
    assert held(writer) == expected("old")


def test_who_writes_is_named_by_variables_of_its_own(writer: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the reading ones counts, and each that is missing is named; a wrong secret is quoted nowhere."""
    for name in ("ROLE", "DATABASE", "TOKEN"):
        monkeypatch.delenv(f"SNOWFLAKE_EXPORT_{name}")
        monkeypatch.setenv(f"SNOWFLAKE_{name}", "of the reader")
    with pytest.raises(ConfigError) as refused:
        open_target("snowflake", "LISTS", SETTINGS)
    for name in ("ROLE", "DATABASE", "TOKEN"):
        assert f"SNOWFLAKE_EXPORT_{name}" in str(refused.value)
    monkeypatch.setenv("SNOWFLAKE_EXPORT_ROLE", "WRITER")
    monkeypatch.setenv("SNOWFLAKE_EXPORT_DATABASE", "WAREHOUSE_DB")
    monkeypatch.setenv("SNOWFLAKE_EXPORT_TOKEN", "canary-wrong-token")
    with pytest.raises(AuthenticationFailed) as failed:
        put("new")
    assert "canary-wrong-token" not in str(failed.value)
