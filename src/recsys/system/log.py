"""Events and logging set-up. Logs go to stderr; events carry ``key=value`` pairs.

A module logs with ``log = events(__name__)`` and
``log.info("fetched", extra=keys(rows=5, seconds=0.1))``. Secrets are never passed to a logger.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from recsys.system.streams import Stream, finite

if TYPE_CHECKING:
    from collections.abc import Mapping

LogFormat = Literal["human", "json"]

_KEYS = "recsys_keys"


def keys(**values: Any) -> dict[str, object]:
    """Return the ``extra`` of a log call that carries ``values`` as keys of the event."""
    return {_KEYS: values}


class _Events(logging.Logger):
    """A logger whose handlers decide nothing: what one of them raises costs the event, not the run.

    A handler of logging's own raises where it writes to a stream that is closed, and so does its
    way of saying so where stderr is closed too.
    """

    last: ClassVar[float] = time.monotonic()

    def callHandlers(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        _Events.last = time.monotonic()
        with suppress(Exception):
            super().callHandlers(record)


def events(name: str) -> logging.Logger:
    """Return the logger of a module."""
    usual = logging.getLoggerClass()
    logging.setLoggerClass(_Events)
    try:
        return logging.getLogger(name)
    finally:
        logging.setLoggerClass(usual)


def last_event() -> float:
    """Return when this package last logged an event that a handler takes; by ``time.monotonic``."""
    return _Events.last


class _Human(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        pairs = "".join(f" {key}={_plain(value)}" for key, value in getattr(record, _KEYS, {}).items())
        text = f"{stamp} {level}{record.getMessage()}{pairs}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        more = dict(getattr(record, _KEYS, {}))
        if record.exc_info:
            more["traceback"] = self.formatException(record.exc_info)
        return json_event(record.name, record.levelname.lower(), record.getMessage(), record.created, more)


def json_event(logger: str, level: str, event: str, created: float, more: Mapping[str, object]) -> str:
    """Return one event as a line of JSON; a number that is not finite is null in it."""
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(created))
    values = {"time": when, "level": level, "logger": logger, "event": event, **more}
    return json.dumps(finite(values), default=str)


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    return repr(text) if " " in text else text


def set_up(log_format: LogFormat = "human", *, verbose: bool = False, quiet: bool = False) -> None:
    """Send the package's events to stderr; other libraries' from WARNING on.

    The Snowflake connector's are not shown at any level.

    Parameters
    ----------
    log_format
        ``human`` (one line for people) or ``json`` (one object a line).
    verbose
        Also show DEBUG events of this package.
    quiet
        Show this package's events from WARNING on only.
    """
    handler = logging.StreamHandler(sys.stderr if isinstance(sys.stderr, Stream) else Stream(sys.stderr))
    handler.setFormatter(_Json() if log_format == "json" else _Human())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    # The connector's own events quote addresses that are signed, which makes them secrets, and whole
    # tracebacks; what fails there is one of our errors, and logged as such.
    logging.getLogger("snowflake").setLevel(logging.CRITICAL)
    level = logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
    logging.getLogger("recsys").setLevel(level)
