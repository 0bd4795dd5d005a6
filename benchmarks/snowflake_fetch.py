"""Seconds and peak memory of fetching ratings from Snowflake's protocol, beside ``fetch_pandas_all``.

``python benchmarks/snowflake_fetch.py [--rows 5e6] [--chunks 50] [--rounds 3] [--users int|str]``

The stand-in of the tests serves one result, cached there so that neither side waits for SQL. Each
fetch runs in a process of its own, rounds are interleaved, and ratios are taken within a round, so
that a busy machine slows both. ``recsys`` ends with the data frame that the trainer works with,
the connector with the one that it makes by itself. Memory is the peak of the process, and that
above what it held before the query.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

TOKEN = "benchmark-token"
QUERY = "SELECT USER_ID, GAME_ID, RATING FROM ANALYTICS.MART_USER_RATINGS"


def address(port: int) -> dict[str, str]:
    """Return the stand-in's credentials."""
    return {
        "account": "standin",
        "user": "trainer",
        "database": "WAREHOUSE_DB",
        "schema": "ANALYTICS",
        "host": "127.0.0.1",
        "port": str(port),
        "protocol": "http",
        "token": TOKEN,
    }


def frame(port: int) -> tuple[float, int, int]:
    """Fetch through the source into the trainer's frame; return seconds, rows and MB held before."""
    import implicit  # noqa: F401 - both sides hold what a training run holds
    import pandas as pd  # noqa: F401

    from recsys.marts.frames import frame_of
    from recsys.marts.schema import ENCODED
    from recsys.sources import open_source

    with open_source("snowflake", None, address(port)) as source:
        before, start = peak(), time.perf_counter()
        result = source.execute(QUERY)
        made = frame_of(result.schema, result.batches, ENCODED)
        return time.perf_counter() - start, len(made), before


def stream(port: int) -> tuple[float, int, int]:
    """Fetch through the source, letting go of each batch; return seconds, rows and MB held before."""
    import implicit  # noqa: F401 - every side holds what a training run holds
    import pandas as pd  # noqa: F401

    from recsys.sources import open_source

    with open_source("snowflake", None, address(port)) as source:
        before, start = peak(), time.perf_counter()
        rows = sum(len(batch) for batch in source.execute(QUERY).batches)
        return time.perf_counter() - start, rows, before


def theirs(port: int, *, encode: bool = False) -> tuple[float, int, int]:
    """Fetch with the connector alone; return seconds, rows and MB held before."""
    import implicit  # noqa: F401 - both sides hold what a training run holds
    import snowflake.connector

    arguments = address(port) | {"authenticator": "PROGRAMMATIC_ACCESS_TOKEN"}
    with snowflake.connector.connect(**arguments) as connection:
        cursor = connection.cursor()
        before, start = peak(), time.perf_counter()
        frame = cursor.execute(QUERY).fetch_pandas_all()
        if encode:
            for column in ("USER_ID", "GAME_ID"):
                frame[column] = frame[column].astype("category")
        return time.perf_counter() - start, len(frame), before


def peak() -> int:
    """Return the highest memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def measured(side: str, port: int) -> dict[str, float]:
    """Run one fetch in a process of its own."""
    command = [sys.executable, __file__, "--side", side, "--port", str(port)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


SIDES: dict[str, Callable[[int], tuple[float, int, int]]] = {
    "frame": frame,
    "stream": stream,
    "connector": theirs,
    "textbook": partial(theirs, encode=True),
}


def main() -> None:
    """Measure, and print one line a round and the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=float, default=5e6)
    parser.add_argument("--chunks", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--users", choices=("int", "str"), default="int", help="type of USER_ID")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        seconds, rows, before = SIDES[options.side](options.port)
        print(json.dumps({"seconds": seconds, "rows": rows, "peak": peak(), "fetched": peak() - before}))
        return
    compare(int(options.rows), options.chunks, options.rounds, options.users)


def compare(rows: int, chunks: int, rounds: int, users: str) -> None:
    """Serve the ratings and fetch them in turn."""
    from standins.snowflake.process import StandIn

    user = "hash(range) % 411000" if users == "int" else "'user-' || (hash(range) % 411000)"
    with StandIn("--chunks", str(chunks), "--password", TOKEN) as service:
        service.duckdb(
            "CREATE TABLE WAREHOUSE_DB.ANALYTICS.MART_USER_RATINGS AS "
            f"SELECT ({user})::{'BIGINT' if users == 'int' else 'VARCHAR'} AS USER_ID, "
            "(hash(range + 1) % 22000)::BIGINT AS GAME_ID, (1 + range % 10)::DOUBLE AS RATING "
            f"FROM range({rows})"
        )
        measured("connector", service.port)  # fills the result cache
        ratios: dict[tuple[str, str], list[float]] = {}
        for number in range(1, rounds + 1):
            sides = {side: measured(side, service.port) for side in SIDES}
            assert {figures["rows"] for figures in sides.values()} == {rows}
            for side, figures in sides.items():
                for name in ("seconds", "peak", "fetched"):
                    ratios.setdefault((side, name), []).append(figures[name] / sides["connector"][name])
                print(f"round {number} {side}: " + " ".join(f"{name} {value:.4g}" for name, value in figures.items()))
        for (side, name), values in ratios.items():
            print(f"{side} {name}: {statistics.median(values):.2f} of the connector's")


if __name__ == "__main__":
    main()
