"""Start the stand-in by hand: ``PYTHONPATH=tests python -m standins.snowflake --marts FOLDER``."""

from __future__ import annotations

import argparse
import socket
import threading
import warnings
from pathlib import Path

import fakesnow.server as fake
import pyarrow as pa
import pyarrow.parquet as pq
import uvicorn

from standins.snowflake.front import Front

DATABASE = "WAREHOUSE_DB"


def main() -> None:
    """Serve on a loopback port until interrupted, or until its life is over."""
    parser = argparse.ArgumentParser(prog="standins.snowflake", description=__doc__)
    parser.add_argument("--port", type=int, default=8085, help="of 127.0.0.1; 0 for a free one")
    parser.add_argument("--marts", type=Path, help="folder with mart_games.parquet and mart_user_ratings.parquet")
    parser.add_argument("--chunks", type=int, default=10, help="in which each result comes")
    parser.add_argument("--password", help="of the user TRAINER; also its access token")
    parser.add_argument("--life", type=float, default=0, help="seconds after which it ends by itself; 0: never")
    options = parser.parse_args()
    fake.logger.setLevel("CRITICAL")
    warnings.simplefilter("ignore")
    fake.shared_fs.connect(DATABASE, "ANALYTICS")
    if options.marts:
        for mart in ("mart_games", "mart_user_ratings"):
            load(options.marts / f"{mart}.parquet", mart.upper())
    front = Front()
    front.state.chunks = options.chunks
    front.state.identity.password = front.state.identity.access_token = options.password
    if options.life:
        timer = threading.Timer(options.life, os_exit)
        timer.daemon = True
        timer.start()
    serve(front, options.port)


def load(path: Path, table: str) -> None:
    """Copy a Parquet file into a table of the schema ANALYTICS, in types that Snowflake has."""
    columns = []
    for field in pq.read_schema(path):
        kind = "BIGINT" if pa.types.is_integer(field.type) else "DOUBLE" if pa.types.is_floating(field.type) else None
        columns.append(f'"{field.name}"::{kind} AS "{field.name}"' if kind else f'"{field.name}"')
    target, selected = f"{DATABASE}.ANALYTICS.{table}", ", ".join(columns)
    fake.shared_fs.duck_conn.execute(
        f"CREATE OR REPLACE TABLE {target} AS SELECT {selected} FROM read_parquet('{path}')"
    )


def serve(front: Front, port: int) -> None:
    """Announce the port on standard output, then serve it."""
    listener = socket.create_server(("127.0.0.1", port))
    print(f"port {listener.getsockname()[1]}", flush=True)  # noqa: T201
    config = uvicorn.Config(front, log_level="critical", lifespan="off", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


def os_exit() -> None:
    """End at once: nothing here is worth saving."""
    import os

    os._exit(0)


if __name__ == "__main__":
    main()
