"""The stand-in in a process of its own, for tests and benchmarks, and the handle to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self
from urllib.request import Request, urlopen

from standins.snowflake.faults import Fault

_START_S = 60.0
_LIFE_S = 7200


class StandIn:
    """A running stand-in; a context manager that ends it.

    Parameters
    ----------
    arguments
        Of the command line, beside the port.
    """

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "standins.snowflake", "--port", "0", "--life", str(_LIFE_S), *arguments]
        environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        self.process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith("port "):
            self.process.kill()
            raise RuntimeError(f"the stand-in did not start: {line!r}")
        self.port = int(line.split()[1])
        self._await()

    def _await(self) -> None:
        end = time.monotonic() + _START_S
        while True:
            try:
                self.seen()
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
            else:
                return

    def _ask(self, what: str, given: dict[str, Any]) -> dict[str, Any]:
        request = Request(f"http://127.0.0.1:{self.port}/standin/{what}", data=json.dumps(given).encode())
        with urlopen(request, timeout=60) as answer:
            return json.load(answer)  # type: ignore[no-any-return]

    def reset(self) -> None:
        """Forget faults, roles and statements; the identity stays."""
        self._ask("reset", {})

    def set(self, **state: Any) -> None:
        """Set attributes of the front's ``State``."""
        if "faults" in state:
            state["faults"] = [asdict(fault) for fault in state["faults"]]
        for section in ("roles", "identity"):
            if section in state:
                state[section] = asdict(state[section])
        self._ask("set", state)

    def fault(self, where: str, kind: str, **more: Any) -> None:
        """Let one fault strike from now on."""
        self.set(faults=[Fault(where, kind, **more)])

    def duckdb(self, *statements: str) -> None:
        """Run SQL in the database behind."""
        self._ask("duckdb", {"statements": list(statements)})

    def seen(self) -> dict[str, Any]:
        """Return statements, those that were only described, session parameters and ways of signing in seen so far."""
        return self._ask("seen", {})

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
