"""Logging set-up and progress bars. Logs go to stderr; events carry ``key=value`` pairs.

A module logs with ``log = logging.getLogger(__name__)`` and
``log.info("fetched", extra=keys(rows=5, seconds=0.1))``. Secrets are never passed to a logger.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LogFormat = Literal["human", "json"]

_KEYS = "recsys_keys"


def keys(**values: Any) -> dict[str, Any]:
    """Return the ``extra`` of a log call that carries ``values`` as keys of the event."""
    return {_KEYS: values}


class _Human(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        pairs = "".join(f" {key}={_plain(value)}" for key, value in getattr(record, _KEYS, {}).items())
        text = f"{stamp} {level}{record.getMessage()}{pairs}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        event: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, _KEYS, {}),
        }
        if record.exc_info:
            event["traceback"] = self.formatException(record.exc_info)
        return json.dumps(event, default=str)


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    return repr(text) if " " in text else text


def set_up(log_format: LogFormat = "human", *, verbose: bool = False) -> None:
    """Send the package's events to stderr; other libraries' from WARNING on.

    The Snowflake connector's are not shown at any level.

    Parameters
    ----------
    log_format
        ``human`` (one line for people) or ``json`` (one object a line).
    verbose
        Also show DEBUG events of this package.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if log_format == "json" else _Human())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    # The connector's own events quote addresses that are signed, which makes them secrets, and whole
    # tracebacks; what fails there is one of our errors, and logged as such.
    logging.getLogger("snowflake").setLevel(logging.CRITICAL)
    logging.getLogger("recsys").setLevel(logging.DEBUG if verbose else logging.INFO)


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on a terminal, and nothing elsewhere.

    Yields a function that takes the number of steps just done. Off a terminal the callers'
    log lines tell the story.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda steps: bar.advance(task, steps)
