"""A server in a process of its own, and waiting for what it does."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import recsys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TESTS = Path(__file__).parents[1]


@contextmanager
def running(*command: str | Path, log: Path, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a server, with some variables, until the block ends; yields the process and the address that it printed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SNOWFLAKE_", "RECSYS_"))}
    clean |= variables
    clean["PYTHONPATH"] = os.pathsep.join([str(_TESTS), str(Path(recsys.__file__).parents[1])])
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, *map(str, command)], stdout=subprocess.PIPE, stderr=errors, text=True, env=clean
        )
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        assert address, log.read_text()
        yield process, address
    finally:
        process.terminate()
        process.communicate(timeout=30)


def until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """Wait for a condition and return what it returned."""
    end = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
    return result
