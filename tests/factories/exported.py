"""Small tables to export, made by hand, and what a target holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from recsys.export import Table

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = pa.schema([("USER_ID", pa.string()), ("RANK", pa.int32()), ("GAME_ID", pa.int64()), ("SCORE", pa.float32())])
BATCHES, ROWS = 3, 200


def batches(release: str, schema: pa.Schema = SCHEMA) -> list[pa.RecordBatch]:
    """Return three batches whose users are called after a release."""
    columns: dict[str, Any] = {
        "USER_ID": [f"{release} {row}" for row in range(ROWS)],
        "RANK": list(range(ROWS)),
        "GAME_ID": list(range(ROWS)),
        "SCORE": [row / 3 for row in range(ROWS)],
        "BECAUSE": [None] * ROWS,
    }
    arrays = [pa.array(columns[field.name], field.type) for field in schema]
    return [pa.RecordBatch.from_arrays(arrays, schema=schema)] * BATCHES


def small_table(release: str, schema: pa.Schema = SCHEMA) -> Table:
    """Return a table of 600 rows."""
    return Table("recommendations", release, "RECOMMENDATIONS", schema, iter(batches(release, schema)), ROWS)


def held(path: Path, table: str = "RECOMMENDATIONS") -> str:
    """Return the release whose rows a target holds, every one of them; empty where there is no table."""
    if not path.exists():
        return ""
    rows = _duckdb_rows(path, table) if path.suffix == ".duckdb" else pq.read_table(path)
    if rows is None:
        return ""
    release = str(rows["USER_ID"][0].as_py()).split()[0]
    assert rows.equals(pa.Table.from_batches(batches(release, rows.schema))), f"{path} holds a part, or a mixture"
    return release


def _duckdb_rows(path: Path, table: str) -> pa.Table | None:
    import duckdb

    with duckdb.connect(str(path), config={"threads": 1}) as connection:
        if not connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = ?", [table]).fetchall():
            return None
        rows = connection.sql(f'SELECT * FROM "{table}"').to_arrow_table()
        return rows.cast(pa.schema([(field.name, field.type) for field in rows.schema]))
