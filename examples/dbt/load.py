"""Leave the sample's games and ratings in the schema ``raw`` of ``warehouse.duckdb``, as a loader would.

With the names of some application, one row for each record, and the time at which it was loaded.
"""

from __future__ import annotations

import duckdb
import pyarrow as pa

from recsys.sources import open_source

QUERIES = {
    "games": "SELECT GAME_ID AS id, NAME AS title, DESCRIPTION AS blurb, CATEGORIES AS category_list,"
    " MECHANICS AS mechanic_list FROM ANALYTICS.MART_GAMES",
    "ratings": "SELECT USER_ID AS user_id, GAME_ID AS game_id, RATING AS score, RATED_AT AS rated_at"
    " FROM ANALYTICS.MART_USER_RATINGS",
}

with open_source("sample") as sample, duckdb.connect("warehouse.duckdb") as warehouse:
    warehouse.execute("CREATE SCHEMA IF NOT EXISTS raw")
    for name, query in QUERIES.items():
        rows = pa.Table.from_batches(sample.execute(query).batches)
        warehouse.register("loaded", rows)
        warehouse.execute(f"CREATE OR REPLACE TABLE raw.{name} AS SELECT *, now() AS loaded_at FROM loaded")
        print(f"raw.{name}: {len(rows):,} rows")
