"""The access log: one JSON object a line, with what was shown to whom. It holds ids of people."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.errors import ConfigError
from recsys.system.log import events, keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsys.service.exchange import Exchange

log = events(__name__)

STDOUT = "-"
"""Stands for standard output where a file is asked for."""


class AccessLog:
    """Appends a line for each request to a file that several processes may share.

    A file that was moved away, as log rotation does, is begun anew. What cannot be written is counted and lost: no
    request waits or fails for it.

    Parameters
    ----------
    target
        A file, begun where there is none and readable by its owner alone; or ``-`` for standard output.
    lost
        Called for each line that could not be written.

    Raises
    ------
    ConfigError
        If the file cannot be opened.
    """

    def __init__(self, target: str, lost: Callable[[], None]) -> None:
        self._path = None if target == STDOUT else Path(target)
        self._lost = lost
        self._failing = False
        try:
            self._file = self._open()
        except OSError as error:
            raise ConfigError(
                f"the access log {target} cannot be written: {error.strerror}; name a file with --access-log"
            ) from error

    def write(self, exchange: Exchange) -> None:
        """Append the line of a request."""
        # One write, so that lines of several processes do not mix.
        line = json.dumps(_entry(exchange), ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
        try:
            self._follow_rotation()
            if os.write(self._file, line) != len(line):
                raise OSError(0, "only a part of the line was taken")
        except OSError as error:
            cause = error.strerror
        else:
            cause = None
        if cause is not None:
            self._lost()
        if cause is not None and not self._failing:
            log.error("the access log cannot be written; lines are lost", extra=keys(cause=cause))
        self._failing = cause is not None

    def _open(self) -> int:
        if self._path is None:
            return sys.__stdout__.fileno() if sys.__stdout__ is not None else os.open(os.devnull, os.O_WRONLY)
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def _follow_rotation(self) -> None:
        if self._path is None:
            return
        try:
            moved = self._path.stat().st_ino != os.fstat(self._file).st_ino
        except FileNotFoundError:
            moved = True
        if moved:
            before, self._file = self._file, self._open()
            os.close(before)


def _entry(exchange: Exchange) -> dict[str, object]:
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"
    return {
        "time": stamp,
        "request_id": exchange.request_id,
        "method": exchange.method,
        "route": exchange.route or None,
        "status": exchange.status,
        "duration_ms": round(exchange.seconds * 1000, 3),
        "release": exchange.release,
        "user": exchange.user,
        "scenario": exchange.scenario,
        "etag": exchange.etag or None,
        "shown": exchange.shown,
    }
