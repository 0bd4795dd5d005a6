"""Exports small tables again and again, each time in a process of its own: what fault tests make fail.

Started as ``python -m standins.export_tables FOLDER``, it exports once to each kind of file there, which imports
everything. Each line on stdin is ``TARGET RELEASE``; see :func:`standins.forking.serve`.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from factories.exported import small_table
from recsys.errors import RecsysError
from recsys.export import export, open_target
from standins.forking import serve


def put(text: str, release: str) -> int:
    """Export a small table; return the exit code of the command line."""
    try:
        export(small_table(release), open_target(text, "RECOMMENDATIONS"))
    except RecsysError as error:
        return error.exit_code
    except BaseException:  # noqa: BLE001 - a bug: the test shows it
        traceback.print_exc()
        return 70
    return 0


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    assert put(str(folder / "warm.parquet"), "warm") == put(f"duckdb:{folder / 'warm.duckdb'}", "warm") == 0
    serve(put)
